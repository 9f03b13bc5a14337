// An agent for the tests of the page «Updates»: it speaks the agent's protocol (a length of four bytes, big-endian, and
// as much JSON; a bundle's bytes in frames of the same kind, the empty one last), keeps a bundle in memory, and shows
// whatever the test puts into `report`. It checks no signature and writes no slot.

import { createServer } from "node:net";

const STEP_BYTES = 1_000_000;
const BUILD = "ab".repeat(32);

function release(version) {
  return { version, build_id: BUILD, root_hash: BUILD, epoch: 1, data: { generation: 2, reads_from: 2 } };
}

function slot(letter, version) {
  const standing = { standing: "good", version, build_id: BUILD, data: { generation: 2, reads_from: 2 } };
  return { slot: letter, release: { present: release(version) }, standing };
}

// The EEPROM that the image carries: of 2026-05-26.
const EEPROM = {
  build_s: 1_779_753_600, version: "ef".repeat(20), sha256: BUILD,
  settings: "[all]\nBOOT_UART=1\nBOOT_ORDER=0xf461\nNET_INSTALL_AT_POWER_ON=0\n",
};

// What the agent tells at first: slot A runs 1.2.0, slot B holds 1.1.0; the board has the EEPROM of the image.
function freshReport() {
  return {
    running: "a", trial: false, remark: null, committed: { present: "a" },
    slots: [slot("a", "1.2.0"), slot("b", "1.1.0")],
    phase: { phase: "idle" }, history: [], quarantine: [],
    trust: { root_version: 1, keys_version: 4, is_test: true, problem: null },
    tryboot: { argument_only: { reason: "there is no mailbox in a virtual machine" } },
    eeprom_s: { present: 1_779_753_600 }, epoch_floor: 1, selftest: null,
    eeprom: { carried: { present: EEPROM }, hindrance: "the board has this EEPROM already", last: null },
  };
}

// Takes frames off a connection as they come.
class Frames {
  #parts = [];
  #length = 0;

  push(bytes) {
    this.#parts.push(bytes);
    this.#length += bytes.length;
  }

  // The next whole frame; nothing while it is not whole.
  take() {
    if (this.#length < 4) return null;
    const all = this.#parts.length === 1 ? this.#parts[0] : Buffer.concat(this.#parts);
    const end = 4 + all.readUInt32BE(0);
    this.#parts = all.length > end ? [all.subarray(end)] : [];
    if (all.length < end) {
      this.#parts = [all];
      return null;
    }
    this.#length = all.length - end;
    return all.subarray(4, end);
  }
}

function say(socket, reply) {
  const json = Buffer.from(JSON.stringify(reply));
  const length = Buffer.alloc(4);
  length.writeUInt32BE(json.length);
  socket.write(Buffer.concat([length, json]));
}

// Listens at `path`. `bundle` is the file that is expected, `id` what names it.
export async function fakeAgent(path, bundle, id) {
  const agent = { report: freshReport(), asked: [], safe: 0, breaksAt: Infinity, content: Buffer.alloc(0) };
  const incoming = { version: "1.3.0", build_id: "cd".repeat(32), bundle: id, slot: "b", notes: "Recordings start faster." };
  const writing = (active) => ({ phase: "writing", incoming, offset: agent.safe, bundle_bytes: bundle.length, active });

  const answers = {
    update_status: () => ({ reply: "update", ...agent.report }),
    install_update: () => ({ reply: "accepted" }),
    return_to_other: () => ({ reply: "accepted" }),
    selftest: () => ({ reply: "accepted" }),
    install_eeprom: () => ({ reply: "accepted" }),
    discard_update: () => {
      agent.safe = 0;
      agent.report.phase = { phase: "idle" };
      return { reply: "done" };
    },
  };

  function take(socket, frame) {
    if (frame.length === 0) {
      agent.safe = agent.content.length;
      agent.report.phase = { phase: "written", incoming };
      return say(socket, { reply: "done" });
    }
    agent.content = Buffer.concat([agent.content, frame]);
    agent.safe = Math.floor(agent.content.length / STEP_BYTES) * STEP_BYTES;
    agent.report.phase = writing(true);
    if (agent.content.length < agent.breaksAt) return undefined;
    agent.breaksAt = Infinity;
    return socket.destroy();
  }

  const server = createServer((socket) => {
    const frames = new Frames();
    let isTaking = false;
    socket.on("error", () => socket.destroy());
    socket.on("close", () => {
      if (isTaking && agent.report.phase.phase === "writing") agent.report.phase = writing(false);
    });
    socket.on("data", (bytes) => {
      frames.push(bytes);
      for (let frame = frames.take(); frame; frame = frames.take()) {
        if (isTaking) {
          take(socket, frame);
          continue;
        }
        const request = JSON.parse(frame);
        if (request.request !== "update_status") agent.asked.push(request);
        if (request.request === "bundle") {
          isTaking = true;
          agent.content = agent.content.subarray(0, agent.safe);
          say(socket, { reply: "send", offset: agent.safe });
        } else {
          say(socket, answers[request.request]?.() ?? { reply: "refused", code: "wrong_state", message: "not in this test" });
        }
      }
    });
  });
  await new Promise((resolve) => { server.listen(path, resolve); });
  return Object.assign(agent, { incoming, close: () => server.close() });
}
