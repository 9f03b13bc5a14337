// The BLAKE3 of the page «Updates» against the test vectors of its designers: bytes 0 to 250, again and again.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";

const source = await readFile(new URL("../admin_interface/assets/blake3.js", import.meta.url), "utf8");
const { blake3 } = await import(`data:text/javascript,${encodeURIComponent(source)}`);

const VECTORS = {
  0: "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262",
  1: "2d3adedff11b61f14c886e35afa036736dcd87a74d27b5c1510225d0f592e213",
  1024: "42214739f095a406f3fc83deb889744ac00df831c10daa55189b5d121c855af7",
  1025: "d00278ae47eb27b34faecf67b4fe263f82d5412916c1ffd97c8cb7fb814b8444",
  2049: "5f4d72f40d7a5f82b15ca2b2e44b1de3c2ef86c426c95c1af0b6879522563030",
  31744: "62b6960e1a44bcc1eb1a611a8d6235b6b4b78f32e7abc4fb4c6cdcce94895c47",
  102400: "bc3e3d41a1146b069abffad3c0d44860cf664390afce4d9661f7902e7943e085",
};

for (const [length, expected] of Object.entries(VECTORS)) {
  test(`${length} bytes`, () => {
    assert.equal(blake3(Uint8Array.from({ length: Number(length) }, (_, index) => index % 251)), expected);
  });
}
