/**
 * A JSON string, with its quotes; control characters beyond JSON's own (C1, bidirectional
 * marks) are escaped too, so that a terminal that shows it does nothing else.
 */
export function quoteJson(text: string): string {
  return JSON.stringify(text).replace(
    /[\u007f-\u009f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g,
    (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}
