// Times of a page as the clock of its reader shows them; what the server wrote is in the site's time zone.

/** Writes each `time` anew. */
export function tell(times) {
  const pages = document.documentElement.lang;
  // "en" alone is American to a browser; a reader in Britain has said "en-GB".
  const own = navigator.languages.find((language) => language.split("-")[0] === pages.split("-")[0]);
  const form = new Intl.DateTimeFormat(own || pages, { dateStyle: "medium", timeStyle: "short" });
  for (const time of times) time.textContent = form.format(new Date(time.dateTime));
}

tell(document.querySelectorAll("time[datetime]"));
