// Runs before the page's own code: notes what a screen reader says by itself, the whole of a live region when something of it
// changes or it comes into view. `window.__announced`: texts, in order.
(() => {
  const LIVE = "[role=status], [role=alert], [aria-live=polite], [aria-live=assertive]";
  const known = new Map();
  window.__announced = [];
  const textOf = (region) => (region.checkVisibility() ? region.innerText.trim() : "");
  const listen = () => {
    for (const region of document.querySelectorAll(LIVE)) {
      const text = textOf(region);
      if (text && text !== known.get(region)) window.__announced.push(text);
      known.set(region, text);
    }
  };
  document.addEventListener("DOMContentLoaded", () => {
    for (const region of document.querySelectorAll(LIVE)) known.set(region, textOf(region));
    new MutationObserver(listen).observe(document.body, { subtree: true, childList: true, characterData: true, attributes: true });
  });
})();
