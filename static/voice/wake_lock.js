// Keeps the screen on during a call, where the browser can. Asks again when the page comes back into view.

export class WakeLock {
  #wanted = false;
  #lock = null;

  constructor() {
    document.addEventListener("visibilitychange", () => this.#apply());
  }

  hold(wanted) {
    this.#wanted = wanted;
    this.#apply();
  }

  async #apply() {
    if (!this.#wanted) {
      const lock = this.#lock;
      this.#lock = null;
      await lock?.release();
    } else if (navigator.wakeLock && document.visibilityState === "visible" && (this.#lock === null || this.#lock.released)) {
      this.#lock = await navigator.wakeLock.request("screen").catch(() => null); // refused on low battery: the call goes on
      if (!this.#wanted) this.#apply();
    }
  }
}
