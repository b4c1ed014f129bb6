// Stylesheets that are loaded when what they dress is opened. Their addresses come from data attributes.

const asked = {};

/** Resolves when the stylesheet applies; each is loaded once. */
export function stylesheet(href) {
  asked[href] ??= new Promise((resolve, reject) => {
    document.head.append(Object.assign(document.createElement("link"), { rel: "stylesheet", href, onload: resolve, onerror: reject }));
  }).catch((error) => {
    delete asked[href];
    throw error;
  });
  return asked[href];
}
