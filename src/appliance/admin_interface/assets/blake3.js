// BLAKE3 (https://github.com/BLAKE3-team/BLAKE3-specs), plain hashing to 32 bytes: browsers have none. Only for the
// header of a bundle, which has a megabyte at most, so that the appliance can be told which bundle goes on.

const IV = Uint32Array.of(
  0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19,
);
// The order in which a round takes the words that the round before had in order.
const PERMUTATION = [2, 6, 3, 10, 7, 0, 4, 13, 1, 11, 12, 5, 9, 14, 15, 8];
// Columns, then diagonals of the state.
const QUARTERS = [
  [0, 4, 8, 12], [1, 5, 9, 13], [2, 6, 10, 14], [3, 7, 11, 15],
  [0, 5, 10, 15], [1, 6, 11, 12], [2, 7, 8, 13], [3, 4, 9, 14],
];
const ROUNDS = 7;
const BLOCK_BYTES = 64;
const CHUNK_BYTES = 1024;
const CHUNK_START = 1;
const CHUNK_END = 2;
const PARENT = 4;
const ROOT = 8;

function rotateRight(word, count) {
  return (word >>> count) | (word << (32 - count));
}

function mix(state, [a, b, c, d], first, second) {
  state[a] += state[b] + first;
  state[d] = rotateRight(state[d] ^ state[a], 16);
  state[c] += state[d];
  state[b] = rotateRight(state[b] ^ state[c], 12);
  state[a] += state[b] + second;
  state[d] = rotateRight(state[d] ^ state[a], 8);
  state[c] += state[d];
  state[b] = rotateRight(state[b] ^ state[c], 7);
}

// The chaining value, or with ROOT the hash, of a node: eight words.
function compress(node, extraFlags) {
  const state = new Uint32Array(16);
  state.set(node.chaining, 0);
  state.set(IV.subarray(0, 4), 8);
  state.set([node.counter, 0, node.length, node.flags | extraFlags], 12);
  let words = node.words;
  for (let round = 0; round < ROUNDS; round += 1) {
    const taken = words;
    QUARTERS.forEach((quarter, index) => mix(state, quarter, taken[2 * index], taken[2 * index + 1]));
    words = Uint32Array.from(PERMUTATION, (from) => taken[from]);
  }
  return state.subarray(0, 8).map((word, index) => word ^ state[index + 8]);
}

// A block of at most 64 bytes as sixteen words, little-endian, filled up with zeros.
function wordsOf(bytes) {
  const block = new Uint8Array(BLOCK_BYTES);
  block.set(bytes);
  const view = new DataView(block.buffer);
  return Uint32Array.from({ length: 16 }, (_, index) => view.getUint32(4 * index, true));
}

// The last block of a chunk, with everything before it compressed.
function chunk(bytes, counter) {
  let chaining = IV;
  let flags = CHUNK_START;
  let at = 0;
  for (; at + BLOCK_BYTES < bytes.length; at += BLOCK_BYTES) {
    const words = wordsOf(bytes.subarray(at, at + BLOCK_BYTES));
    chaining = compress({ chaining, words, counter, length: BLOCK_BYTES, flags }, 0);
    flags = 0;
  }
  const last = bytes.subarray(at);
  return { chaining, words: wordsOf(last), counter, length: last.length, flags: flags | CHUNK_END };
}

// The node of bytes that begin with the chunk of this number. The left part is the largest power of two of chunks that
// leaves something for the right one.
function node(bytes, counter) {
  if (bytes.length <= CHUNK_BYTES) return chunk(bytes, counter);
  let left = CHUNK_BYTES;
  while (2 * left < bytes.length) left *= 2;
  const words = new Uint32Array(16);
  words.set(compress(node(bytes.subarray(0, left), counter), 0), 0);
  words.set(compress(node(bytes.subarray(left), counter + left / CHUNK_BYTES), 0), 8);
  return { chaining: IV, words, counter: 0, length: BLOCK_BYTES, flags: PARENT };
}

// The hash of a Uint8Array in hexadecimal.
export function blake3(bytes) {
  const hash = new DataView(new ArrayBuffer(32));
  compress(node(bytes, 0), ROOT).forEach((word, index) => hash.setUint32(4 * index, word, true));
  return [...new Uint8Array(hash.buffer)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}
