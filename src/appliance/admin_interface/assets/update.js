// Sends a bundle with progress, and goes on where it stopped when the connection breaks, also with the same file on
// another day. Without this script the same form sends the file in one piece.
//
// The bundle is named by the BLAKE3 of its header (docs/updates-format.md). The appliance says how much of which bundle
// it has safe; only that need not be sent again.

const form = document.getElementById("bundle");
const bar = document.getElementById("bundle-progress");
const said = document.getElementById("bundle-said");

const MAGIC = "LUCIDUP1";
const HEADER_BYTES_MAX = 1024 * 1024;
const RETRY_MIN_MS = 1_000;
const RETRY_MAX_MS = 30_000;
// Tries without any progress before giving up; with the waits between them about five minutes.
const TRIES_MAX = 14;
// Reading back takes a second for each thirty megabytes or so; its progress is above, on the page.
const LOOK_MS = 1_000;

class Refused extends Error {}
class SignInAgain extends Error {}

function megabytes(bytes) {
  return `${(bytes / 1e6).toFixed(1)} MB`;
}

function pause(ms) {
  return new Promise((resolve) => { setTimeout(resolve, ms); });
}

function show(bytes, size) {
  bar.value = size ? (100 * bytes) / size : 100;
}

// What a reply says, as far as it is JSON.
function told(xhr) {
  try {
    return JSON.parse(xhr.responseText) ?? {};
  } catch {
    return {};
  }
}

function reason(xhr) {
  return told(xhr).detail ?? `status ${xhr.status}`;
}

function request(method, address, headers, body, progress) {
  return new Promise((resolve, reject) => {
    const xhr = new XMLHttpRequest();
    xhr.open(method, address);
    xhr.setRequestHeader("X-CSRF-Token", form.elements.csrf.value);
    for (const [name, value] of Object.entries(headers)) xhr.setRequestHeader(name, value);
    if (progress) xhr.upload.addEventListener("progress", (event) => progress(event.loaded));
    xhr.addEventListener("load", () => resolve(xhr));
    xhr.addEventListener("error", () => reject(new Error("the connection broke")));
    xhr.send(body ?? null);
  });
}

// Sends a request; renews the log-in once where it has run out. Only what can't succeed later is `Refused`.
async function ask(...parts) {
  let reply = await request(...parts);
  if (reply.status === 401) {
    await fetch("/renew", { cache: "no-store" });
    reply = await request(...parts);
  }
  if (reply.status < 400) return reply;
  if (reply.status === 403 && told(reply).code === "sign-in-again") throw new SignInAgain();
  if (reply.status === 429 || reply.status >= 500) throw new Error(reason(reply));
  const refused = new Refused(reason(reply));
  refused.isConflict = reply.status === 409;
  throw refused;
}

// Proves the password: the bundle's reception wants a log-in that is only minutes old.
async function signIn() {
  const body = new URLSearchParams({ csrf: form.elements.csrf.value, password: form.elements.password.value });
  form.elements.password.value = "";
  await ask("POST", "/updates/sign-in", { "Content-Type": "application/x-www-form-urlencoded" }, body.toString());
}

// What names the bundle in a file.
async function identify(file) {
  const head = new Uint8Array(await file.slice(0, 12).arrayBuffer());
  const isBundle = head.length === 12 && new TextDecoder().decode(head.subarray(0, 8)) === MAGIC;
  const length = isBundle ? new DataView(head.buffer).getUint32(8, true) : 0;
  if (!isBundle || length > HEADER_BYTES_MAX || file.size < 12 + length) {
    throw new Refused(`“${file.name}” is no bundle, or not the whole of one: choose another file.`);
  }
  const { blake3 } = await import(form.dataset.blake3);
  return blake3(new Uint8Array(await file.slice(0, 12 + length).arrayBuffer()));
}

// How the appliance stands with this bundle: how much of it is safe there, and whether it has all of it.
async function standing(bundle) {
  const status = told(await ask("GET", "/api/update/status", {}));
  if (!status.agent) throw new Error(status.agent_problem ?? "the agent can't be asked");
  const { phase } = status.agent;
  const isOurs = phase.incoming?.bundle === bundle;
  return {
    offset: isOurs && phase.phase === "writing" ? phase.offset : 0,
    isComplete: isOurs && !["writing", "checking"].includes(phase.phase),
    isBusy: isOurs && (phase.phase === "checking" || (phase.phase === "writing" && phase.active)),
  };
}

// One connection's worth: everything from `offset` on. The reply comes once all of it is written and read back.
async function append(file, bundle, offset) {
  const address = `/api/update/bundle?offset=${offset}&bundle=${bundle}`;
  const rest = file.slice(offset);
  const progress = (loaded) => {
    show(offset + Math.min(loaded, rest.size), file.size);
    said.textContent = loaded < rest.size
      ? `${megabytes(offset + loaded)} of ${megabytes(file.size)} sent.`
      : "All of it was sent; the appliance writes it and reads it back.";
  };
  await ask("POST", address, { "Content-Type": "application/octet-stream" }, rest, progress);
}

async function send(file, bundle) {
  let now = await standing(bundle);
  let tries = 0;
  while (!now.isComplete) {
    if (now.offset > 0) said.textContent = `Going on from ${megabytes(now.offset)}.`;
    show(now.offset, file.size);
    const before = now.offset;
    try {
      await append(file, bundle, now.offset);
      return;
    } catch (error) {
      tries += 1;
      // A conflict may be the former transfer, which the appliance has not found to be dead yet.
      const isFinal = error instanceof SignInAgain || (error instanceof Refused && !error.isConflict);
      if (isFinal || tries > TRIES_MAX) throw error;
      said.textContent = `Interrupted (${error.message}).`;
      now = await resume(bundle, now, error, RETRY_MIN_MS * 2 ** (tries - 1));
    }
    if (now.offset > before) tries = 0;
  }
}

// After a break: where to go on, as soon as the appliance can be asked.
async function resume(bundle, before, error, waitMs) {
  await pause(Math.min(waitMs, RETRY_MAX_MS));
  let now = before;
  try {
    now = await standing(bundle);
    while (now.isBusy) {
      await pause(LOOK_MS);
      now = await standing(bundle);
    }
  } catch (next) {
    if (next instanceof Refused) throw next;
    return before;
  }
  // Nothing of ours is under way, and it stands where it stood: the refusal was meant.
  if (error.isConflict && !now.isComplete && now.offset === before.offset) throw error;
  return now;
}

form?.addEventListener("submit", async (event) => {
  event.preventDefault();
  const button = form.querySelector("button");
  const file = form.elements.file.files[0];
  button.disabled = true;
  said.textContent = "Looking at the file.";
  try {
    const bundle = await identify(file);
    await signIn();
    bar.hidden = false;
    await send(file, bundle);
    window.location.assign("/updates?done=update-sent");
  } catch (error) {
    said.textContent = error instanceof SignInAgain
      ? "It is more than five minutes since you gave your password. Give it again: sending goes on where it was."
      : `Not sent: ${error.message}`;
    button.disabled = false;
    bar.hidden = true;
  }
});
