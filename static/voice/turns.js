// The named ways of deciding when the person has finished speaking, as the session's turn detection. Pure.

const vad = (threshold, silence_duration_ms) => ({ type: "server_vad", threshold, prefix_padding_ms: 300, silence_duration_ms });

const PRESETS = {
  quiet: vad(0.4, 400),
  normal: vad(0.5, 500),
  noisy: vad(0.7, 600),
  patient: vad(0.5, 1_200),
  push_to_talk: { type: "none" },
};

/** The `turn_detection` of a preset; unknown names mean normal. */
export const turnDetection = (preset) => PRESETS[preset] ?? PRESETS.normal;
