// Keeps a page up to date: swaps the parts that the server sends, pauses while nobody looks, and says when it can't.
// Without this script every page works and shows the values of the moment it was loaded.

const address = document.body.dataset.live;
const said = document.getElementById("link-state");

// The server speaks at least every ten seconds; a connection that is silent for longer has died without a word.
const SILENCE_MAX_MS = 25_000;
const RETRY_MIN_MS = 1_000;
const RETRY_MAX_MS = 30_000;

let source = null;
let silence = 0;
let retry = 0;
let retryMs = RETRY_MIN_MS;
let lastHeard = null;

function say(text, state) {
  if (said.textContent !== text) said.textContent = text;
  said.dataset.state = state;
}

// Replaces what an element holds. Focus stays where it was: on the link or control with the same address or id.
function swap(id, html) {
  const part = document.getElementById(id);
  if (!part) return;
  const focused = part.contains(document.activeElement) ? document.activeElement : null;
  const open = [...part.querySelectorAll("details[open][id]")].map((details) => details.id);
  const offsets = [...part.querySelectorAll(".scroll")].map((region) => region.scrollLeft);
  part.innerHTML = html;
  for (const kept of open) document.getElementById(kept)?.setAttribute("open", "");
  part.querySelectorAll(".scroll").forEach((region, index) => { region.scrollLeft = offsets[index] ?? 0; });
  if (focused) again(part, focused)?.focus({ preventScroll: true });
}

function again(part, focused) {
  if (focused.id) return document.getElementById(focused.id);
  const tag = focused.tagName.toLowerCase();
  const alike = [...part.querySelectorAll(tag)];
  return alike.find((element) => element.getAttribute("href") === focused.getAttribute("href")
    && element.getAttribute("aria-label") === focused.getAttribute("aria-label"));
}

function heard() {
  lastHeard = new Date();
  retryMs = RETRY_MIN_MS;
  say("Live: values are of this moment.", "live");
  clearTimeout(silence);
  silence = setTimeout(lost, SILENCE_MAX_MS);
}

function close() {
  clearTimeout(silence);
  clearTimeout(retry);
  source?.close();
  source = null;
}

function lost() {
  close();
  const since = lastHeard ? ` Values are of ${lastHeard.toLocaleTimeString()}.` : "";
  say(`The connection to the appliance is lost; trying again.${since}`, "lost");
  retry = setTimeout(open, retryMs);
  retryMs = Math.min(retryMs * 2, RETRY_MAX_MS);
}

function open() {
  close();
  source = new EventSource(address);
  source.addEventListener("parts", (event) => {
    for (const [id, html] of Object.entries(JSON.parse(event.data))) swap(id, html);
    heard();
  });
  source.addEventListener("beat", heard);
  source.addEventListener("error", () => {
    // The server ends a stream when its token runs out: opening another one renews it, and nobody need notice.
    if (lastHeard && Date.now() - lastHeard < SILENCE_MAX_MS && retryMs === RETRY_MIN_MS) {
      close();
      retryMs = RETRY_MIN_MS * 2;
      retry = setTimeout(open, RETRY_MIN_MS);
    } else {
      lost();
    }
  });
}

if (address && said && "EventSource" in window) {
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) {
      close();
      say("Paused while this page is hidden.", "paused");
    } else {
      retryMs = RETRY_MIN_MS;
      open();
    }
  });
  window.addEventListener("pagehide", close);
  if (!document.hidden) open();
}
