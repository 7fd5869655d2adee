// Must be loaded before uPlot, which formats numbers in the browser's language while it loads: a
// browser in a container may name one that does not exist ("en-US@posix"), and nothing would draw.

try {
  new Intl.NumberFormat(navigator.language);
} catch {
  Object.defineProperty(navigator, 'language', { value: 'en-US', configurable: true });
}
