// A network that breaks when a test says so: forwards bytes as they are, TLS and all.

import { once } from "node:events";
import { connect, createServer } from "node:net";

// A way to the appliance at `base` that takes `limit` bytes on one connection and then no more. It is `cut` and `mended`
// by hand; while it is cut, new connections break, too: browsers try again by themselves.
export async function brittleWay(base, limit) {
  const { hostname, port } = new URL(base);
  let whole = true;
  let stuck;
  const isStuck = new Promise((resolve) => { stuck = resolve; });
  const open = new Set();
  const server = createServer((near) => {
    if (!whole) {
      near.destroy();
      return;
    }
    const far = connect(Number(port), hostname);
    let taken = 0;
    near.on("data", (piece) => {
      taken += piece.length;
      far.write(piece);
      if (taken < limit) return;
      near.pause();
      stuck();
    });
    far.pipe(near);
    for (const [end, other] of [[near, far], [far, near]]) {
      open.add(end);
      end.on("error", () => {});
      end.on("close", () => { open.delete(end); other.destroy(); });
    }
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    address: `https://127.0.0.1:${server.address().port}`,
    isStuck,
    cut() {
      whole = false;
      for (const socket of open) socket.destroy();
    },
    mend() {
      limit = Infinity;
      whole = true;
    },
    close() {
      this.cut();
      server.close();
    },
  };
}
