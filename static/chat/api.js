// The site's REST API as functions. Knows addresses and errors, nothing of the page.

/** An answer that is not 2xx: `status` (0: no answer), `code`, `retryAfterMs`; the message is the server's sentence. */
export class ApiError extends Error {
  constructor({ status, code = null, message = "", retryAfterMs = null }) {
    super(message);
    Object.assign(this, { status, code, retryAfterMs });
  }
}

export class Api {
  #urls;
  #token = document.querySelector("meta[name=csrf-token]").content;
  #minting = Promise.resolve();

  constructor(urls) {
    this.#urls = urls;
  }

  async #ask(method, url, body) {
    let response;
    try {
      response = await fetch(url, {
        method,
        credentials: "same-origin",
        headers: { Accept: "application/json", ...(body && { "Content-Type": "application/json" }), ...(method !== "GET" && { "X-CSRFToken": this.#token }) },
        body: body && JSON.stringify(body),
      });
    } catch {
      throw new ApiError({ status: 0, code: "net.lost" });
    }
    if (response.status === 204) return null;
    const answer = await response.json().catch(() => ({}));
    if (response.ok) return answer;
    const seconds = answer.retry_after ?? response.headers.get("Retry-After");
    const expired = response.status === 401 || response.status === 403;
    throw new ApiError({
      status: response.status, code: expired ? "auth.expired" : answer.code, message: answer.message ?? "", retryAfterMs: seconds == null ? null : Number(seconds) * 1_000,
    });
  }

  address(id) {
    return `${this.#urls.conversations}${id}/`;
  }

  conversations(query = "", url = null) {
    return this.#ask("GET", url ?? `${this.#urls.conversations}?q=${encodeURIComponent(query)}`);
  }

  conversation(id) {
    return this.#ask("GET", this.address(id));
  }

  change(id, fields) {
    return this.#ask("PATCH", this.address(id), fields);
  }

  create(fields) {
    return this.#ask("POST", this.#urls.conversations, fields);
  }

  remove(id) {
    return this.#ask("DELETE", this.address(id));
  }

  restore(id) {
    return this.#ask("POST", `${this.address(id)}restore/`);
  }

  messages(id, before) {
    return this.#ask("GET", `${this.address(id)}messages/?before=${before}&limit=50`);
  }

  message(id, messageId) {
    return this.#ask("GET", `${this.address(id)}messages/${messageId}/`);
  }

  prefer(change) {
    return this.#ask("PATCH", this.#urls.preferences, change);
  }

  /** One at a time: two mints without a conversation would make two conversations. `fields()` is read when its turn comes. */
  mint(fields) {
    const answer = this.#minting.then(() => this.#ask("POST", this.#urls.mint, fields()));
    this.#minting = answer.catch(() => {});
    return answer;
  }
}
