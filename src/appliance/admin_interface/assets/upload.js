// Records a file with progress, and goes on where it stopped when the connection breaks.
// Without this script the same form sends the file in one piece.
//
// Resumable upload as in draft-ietf-httpbis-resumable-upload: POST makes the session, PATCH appends at an offset, HEAD
// tells how much is durable. A reply to a PATCH means that everything before it is on the disk.

const form = document.getElementById("upload");
const bar = document.getElementById("upload-progress");
const said = document.getElementById("upload-said");

// One request carries at most this much, so that progress is confirmed now and then.
const PIECE_BYTES = 64 * 1024 * 1024;
const RETRY_MIN_MS = 1_000;
const RETRY_MAX_MS = 30_000;
// Tries without any progress before giving up; with the waits between them about five minutes.
const TRIES_MAX = 14;

class Refused extends Error {}

function megabytes(bytes) {
  return `${(bytes / 1e6).toFixed(1)} MB`;
}

function show(bytes, size) {
  bar.value = size ? (100 * bytes) / size : 100;
}

function pause(ms) {
  return new Promise((resolve) => { setTimeout(resolve, ms); });
}

// The words of the appliance where it sent some.
function reason(status, body) {
  try {
    return JSON.parse(body).detail ?? `status ${status}`;
  } catch {
    return `status ${status}`;
  }
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
  const isTemporary = reply.status === 429 || reply.status >= 500;
  if (isTemporary && reply.status !== 507) throw new Error(reason(reply.status, reply.responseText));
  if (reply.status >= 400 && reply.status !== 409) throw new Refused(reason(reply.status, reply.responseText));
  return reply;
}

function offsetIn(reply) {
  const offset = Number.parseInt(reply.getResponseHeader("Upload-Offset") ?? "", 10);
  if (!Number.isSafeInteger(offset)) throw new Error("the appliance did not say how far it is");
  return offset;
}

async function begin(label) {
  const body = JSON.stringify({ label });
  const reply = await ask("POST", "/api/sessions", { "Content-Type": "application/json" }, body);
  const location = reply.getResponseHeader("Location");
  if (!location) throw new Refused("the appliance did not name the session");
  return location;
}

// Appends one piece; returns how much is durable then.
async function append(address, file, offset) {
  const end = Math.min(offset + PIECE_BYTES, file.size);
  const headers = {
    "Content-Type": "application/partial-upload",
    "Upload-Offset": String(offset),
    "Upload-Complete": end === file.size ? "?1" : "?0",
  };
  const progress = (sent) => show(offset + Math.min(sent, end - offset), file.size);
  return offsetIn(await ask("PATCH", address, headers, file.slice(offset, end), progress));
}

async function send(address, file) {
  let offset = 0;
  let tries = 0;
  let complete = false;
  while (!complete) {
    try {
      const durable = await append(address, file, offset);
      complete = durable === file.size;
      if (durable > offset) tries = 0;
      offset = durable;
      said.textContent = `${megabytes(offset)} of ${megabytes(file.size)} are safe on the appliance.`;
    } catch (error) {
      tries += 1;
      if (error instanceof Refused || tries > TRIES_MAX) throw error;
      said.textContent = `Interrupted (${error.message}); going on from ${megabytes(offset)}.`;
      await pause(Math.min(RETRY_MIN_MS * 2 ** (tries - 1), RETRY_MAX_MS));
      offset = await resume(address, offset);
    }
    show(offset, file.size);
  }
}

// What is durable now; the offset known so far where even that can't be asked.
async function resume(address, offset) {
  try {
    return offsetIn(await ask("HEAD", address, {}));
  } catch (error) {
    if (error instanceof Refused) throw error;
    return offset;
  }
}

async function record(file, label) {
  const session = await begin(label);
  await send(`${session}/stream`, file);
  return session.slice(session.lastIndexOf("/") + 1);
}

form?.addEventListener("submit", async (event) => {
  event.preventDefault();
  const button = form.querySelector("button");
  const file = form.elements.file.files[0];
  button.disabled = true;
  bar.hidden = false;
  said.textContent = "Recording begins.";
  try {
    const id = await record(file, form.elements.label.value);
    window.location.assign(`/sessions/${encodeURIComponent(id)}?done=uploaded`);
  } catch (error) {
    said.textContent = `Recording failed: ${error.message}`;
    button.disabled = false;
    bar.hidden = true;
  }
});
