// A relay on Node with the `ws` package, binary to the browser; the audio is sliced out of its JSON, not parsed.
// node node_relay.mjs PORT UPSTREAM
import { WebSocket, WebSocketServer } from "ws";

const [port, upstreamUrl] = process.argv.slice(2);
const server = new WebSocketServer({ host: "127.0.0.1", port: Number(port), perMessageDeflate: false });
server.on("connection", (browser) => {
  const waiting = [];
  const upstream = new WebSocket(upstreamUrl, { perMessageDeflate: false });
  const append = (pcm) =>
    upstream.send(`{"type":"input_audio_buffer.append","audio":"${pcm.toString("base64")}"}`);
  upstream.on("open", () => waiting.splice(0).forEach(append));
  upstream.on("message", (data) => {
    const text = data.toString("latin1");
    if (!text.slice(0, 80).includes("response.output_audio.delta")) return;
    const from = text.indexOf('"delta":"') + 9;
    browser.send(Buffer.from(text.slice(from, text.indexOf('"', from)), "base64"));
  });
  browser.on("message", (pcm) => (upstream.readyState === WebSocket.OPEN ? append(pcm) : waiting.push(pcm)));
  browser.on("close", () => upstream.close());
  upstream.on("close", () => browser.close());
  browser.on("error", () => upstream.close());
  upstream.on("error", () => browser.close());
});
