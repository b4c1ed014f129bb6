// One conversation with the local Realtime server through @openai/agents-realtime, unmodified.
// node conversation.mjs SCENARIO URL: prints what the SDK saw as one line of JSON; the test that started it judges.

import { OpenAIRealtimeWebSocket, RealtimeAgent, RealtimeSession, tool } from '@openai/agents-realtime';
import { z } from 'zod';

const DEADLINE_MS = 45_000;
const SAMPLES_PER_MS = 24;

const tone = (ms) => Int16Array.from({ length: ms * SAMPLES_PER_MS }, (_, n) => 8000 * Math.sin(n / 12));
const silence = (ms) => new Int16Array(ms * SAMPLES_PER_MS);

/** A connected session that keeps what it saw; `seen(predicate)` resolves with the first server event that fits. */
async function connect(url, { turnDetection = { type: 'server_vad' }, tools = [] } = {}) {
  const transport = new OpenAIRealtimeWebSocket({ url, useInsecureApiKey: true });
  const agent = new RealtimeAgent({ name: 'Assistant', instructions: 'Be kind.', tools });
  const session = new RealtimeSession(agent, {
    transport,
    model: 'gpt-realtime-2.1',
    tracingDisabled: true,
    config: { audio: { input: { transcription: { model: 'gpt-transcribe' }, turnDetection } } },
  });
  const events = [];
  const waiting = new Set();
  const errors = [];
  let audioBytes = 0;
  let interruptions = 0;
  session.on('transport_event', (event) => {
    events.push(event);
    for (const check of waiting) check(event);
  });
  session.on('audio', (event) => { audioBytes += event.data.byteLength; });
  session.on('audio_interrupted', () => { interruptions += 1; });
  session.on('error', (error) => errors.push(error));
  await session.connect({ apiKey: 'sk-any' });
  const seen = (fits) => new Promise((resolve) => {
    const found = events.find(fits);
    if (found) return resolve(found);
    const check = (event) => {
      if (fits(event)) { waiting.delete(check); resolve(event); }
    };
    waiting.add(check);
  });
  const texts = (role) => session.history
    .filter((item) => item.type === 'message' && item.role === role)
    .flatMap((item) => item.content.map((part) => part.transcript ?? part.text ?? ''));
  const report = () => ({
    user: texts('user'), assistant: texts('assistant'), audioBytes, interruptions,
    errors: errors.map((error) => JSON.stringify(error.error ?? error)),
    statuses: events.filter((event) => event.type === 'response.done').map((event) => event.response.status),
  });
  return { session, transport, seen, report };
}

const type = (name, nth = 1) => {
  let count = 0;
  return (event) => event.type === name && ++count === nth;
};

const scenarios = {
  async text(url) {
    const { session, seen, report } = await connect(url);
    session.sendMessage('Good morning.');
    await seen(type('response.done'));
    return report();
  },

  async voice(url) {
    const { session, seen, report } = await connect(url);
    session.sendAudio(tone(500).buffer);
    session.sendAudio(silence(600).buffer);
    await seen(type('response.done'));
    await seen((event) => event.type === 'conversation.item.retrieved');
    return report();
  },

  async tool(url) {
    const cities = [];
    const weather = tool({
      name: 'weather',
      description: 'The weather of a city.',
      parameters: z.object({ city: z.string() }),
      execute: async ({ city }) => { cities.push(city); return 'sunny'; },
    });
    const { session, seen, report } = await connect(url, { tools: [weather] });
    session.sendMessage('Good morning.');
    await seen(type('response.done'));
    session.sendMessage('Weather?');
    await seen(type('response.done', 3));
    return { ...report(), cities };
  },

  async pushToTalk(url) {
    const { session, transport, seen, report } = await connect(url, { turnDetection: null });
    session.sendAudio(tone(300).buffer, { commit: true });
    transport.sendEvent({ type: 'response.create' });
    await seen(type('response.done'));
    return report();
  },

  async bargeIn(url) {
    const { session, seen, report } = await connect(url, {
      turnDetection: { type: 'server_vad', interruptResponse: true },
    });
    session.sendAudio(tone(500).buffer);
    session.sendAudio(silence(600).buffer);
    await seen(type('response.output_audio.delta'));
    session.sendAudio(tone(500).buffer);
    await seen(type('conversation.item.truncated'));
    await seen(type('response.done'));
    return report();
  },
};

const [scenario, url] = process.argv.slice(2);
setTimeout(() => { console.error('the conversation did not end in time'); process.exit(1); }, DEADLINE_MS).unref();
console.log(JSON.stringify(await scenarios[scenario](url)));
process.exit(0);
