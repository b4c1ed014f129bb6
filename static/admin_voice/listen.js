// Kept audio beside the timeline: the cursor follows the sound, a click on the picture moves the sound.

const audio = document.getElementById("listen-audio");
const picture = document.querySelector("svg[data-scale]");
const { scale, left, startMs } = Object.fromEntries(Object.entries(picture.dataset).map(([name, value]) => [name, Number(value)]));
const cursor = picture.querySelector(".cursor");
const view = picture.parentElement;

function show() {
  const x = left + (startMs + audio.currentTime * 1_000) * scale;
  cursor.setAttribute("x1", x);
  cursor.setAttribute("x2", x);
  if (!audio.paused && (x < view.scrollLeft || x > view.scrollLeft + view.clientWidth)) view.scrollLeft = x - left;
  if (!audio.paused) requestAnimationFrame(show);
}

for (const name of ["play", "seeked", "timeupdate", "loadedmetadata"]) audio.addEventListener(name, show);

picture.addEventListener("click", (event) => {
  const x = event.clientX - picture.getBoundingClientRect().left;
  audio.currentTime = Math.max(0, ((x - left) / scale - startMs) / 1_000);
  audio.play();
});

document.getElementById("listen-lane").addEventListener("change", ({ target }) => {
  const { currentTime, paused } = audio;
  audio.src = target.value;
  audio.addEventListener("loadedmetadata", () => {
    audio.currentTime = currentTime;
    if (!paused) audio.play();
  }, { once: true });
});
