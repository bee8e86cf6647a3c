// Levels in the order they are stacked, the most severe at the bottom where its height is easiest to see.

/** Level names from the most to the least severe; the last stands for records without one. */
export const LEVELS = [
  "fatal", "emergency", "alert", "critical", "error", "warning", "notice", "info", "debug", "trace", "none",
];

const TONES = {
  fatal: "fatal", emergency: "fatal", alert: "fatal", critical: "fatal",
  error: "error", warning: "warning", notice: "notice", info: "info", debug: "debug", trace: "trace",
};

/** The colour class of a level: `tone-error`; unknown levels look like none. */
export function toneOf(level) {
  return `tone-${Object.hasOwn(TONES, level) ? TONES[level] : "none"}`;
}

/** Whether a record of this level is marked in the list. */
export function isSevere(level) {
  return TONES[level] === "fatal" || TONES[level] === "error";
}
