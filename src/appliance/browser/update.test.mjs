// The page «Updates» in a real browser, against an appliance whose agent is the fake one beside this file.
//
// Environment: BASE_URL, CLAIM_CODE and AGENT_SOCKET (where this test listens as the agent; the appliance is set to it);
// CHROMIUM and SCREENSHOT_DIR are optional, as in dashboard.test.mjs.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, test } from "node:test";

import { AxeBuilder } from "@axe-core/playwright";
import { chromium } from "playwright-core";

import { fakeAgent } from "./fake-agent.mjs";

const { BASE_URL, CLAIM_CODE, AGENT_SOCKET, CHROMIUM = "/usr/bin/chromium", SCREENSHOT_DIR } = process.env;
assert.ok(BASE_URL && CLAIM_CODE && AGENT_SOCKET, "set BASE_URL, CLAIM_CODE and AGENT_SOCKET");

const NAME = "ada";
const PASSWORD = "correct horse battery staple";
const HOSTILE = `<img src=x onerror="document.title='hacked'">`;
const RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"];
const BUNDLE = bundle();

const source = await readFile(new URL("../admin_interface/assets/blake3.js", import.meta.url), "utf8");
const { blake3 } = await import(`data:text/javascript,${encodeURIComponent(source)}`);

let agent;
let browser;
let context;
let page;
const problems = [];

// Laid out as docs/updates-format.md has it, signed by nobody: only the real agent would mind.
function bundle() {
  const word = (value) => { const bytes = Buffer.alloc(4); bytes.writeUInt32LE(value); return bytes; };
  const document = Buffer.concat([word(2), Buffer.from("{}"), Buffer.from([1]), Buffer.alloc(96, 7)]);
  const header = Buffer.concat([Buffer.from([0]), document, document]);
  const pieces = Buffer.alloc(9_000_000);
  for (let at = 0; at < pieces.length; at += 4) pieces.writeUInt32LE(Math.imul(at, 2_654_435_761) >>> 0, at);
  return Buffer.concat([Buffer.from("LUCIDUP1"), word(header.length), header, pieces]);
}

function headerOf(bytes) {
  return bytes.subarray(0, 12 + bytes.readUInt32LE(8));
}

before(async () => {
  agent = await fakeAgent(AGENT_SOCKET, BUNDLE, blake3(headerOf(BUNDLE)));
  browser = await chromium.launch({ executablePath: CHROMIUM, chromiumSandbox: process.getuid() !== 0 });
  context = await browser.newContext({ baseURL: BASE_URL, ignoreHTTPSErrors: true });
  page = await context.newPage();
  page.setDefaultTimeout(60_000);
  page.on("pageerror", (error) => problems.push(`error: ${error.message}`));
  page.on("dialog", (dialog) => { problems.push(`dialog: ${dialog.message()}`); dialog.dismiss(); });
  page.on("console", (message) => {
    const isStatus = message.text().startsWith("Failed to load resource: the server responded with a status of");
    if (message.type() === "error" && !isStatus) problems.push(`console: ${message.text()}`);
  });
  await page.goto("/claim");
  await page.getByLabel("One-time code").fill(CLAIM_CODE);
  await page.getByLabel("Your account name").fill(NAME);
  await page.getByLabel("Password", { exact: true }).fill(PASSWORD);
  await page.getByLabel("Password again").fill(PASSWORD);
  await page.getByRole("button", { name: "Make it mine" }).click();
  await page.getByLabel("I have saved the recovery key.").check();
  await page.getByRole("button", { name: "Continue" }).click();
});

after(async () => {
  await browser?.close();
  agent?.close();
});

async function axe(where) {
  const { violations } = await new AxeBuilder({ page }).withTags(RULES).analyze();
  const told = violations.map((found) => `${found.id}: ${found.nodes.map((node) => node.html).join(" | ")}`);
  assert.deepEqual(told, [], `axe, ${where}`);
  assert.deepEqual(problems, []);
}

async function shoot(name) {
  if (SCREENSHOT_DIR) await page.screenshot({ path: join(SCREENSHOT_DIR, `${name}.png`), fullPage: true });
}

const panel = (name) => page.getByRole("region", { name });

async function send(name, bytes, password) {
  await panel("Send a bundle").getByLabel("Your password").fill(password);
  await page.locator("#bundle-file").setInputFiles({ name, mimeType: "application/octet-stream", buffer: bytes });
  await page.getByRole("button", { name: "Send it" }).click();
}

test("both slots are shown, and which one runs", async () => {
  await page.goto("/updates");
  await page.locator("#update-slots", { hasText: "because it is the one that is kept" }).waitFor();
  await page.getByText("Test keys.").waitFor();
  await axe("updates");
  await shoot("updates-idle");
});

test("what is no bundle, and a wrong password, send nothing", async () => {
  await send("talk.bin", Buffer.from("not a bundle at all"), PASSWORD);
  await page.locator("#bundle-said", { hasText: "“talk.bin” is no bundle" }).waitFor();
  await send("lucid.bundle", BUNDLE, "not the password");
  await page.locator("#bundle-said", { hasText: "Not sent:" }).filter({ hasText: /password is wrong/ }).waitFor();
  assert.deepEqual(agent.asked.filter((request) => request.request === "bundle"), []);
});

test("a bundle is sent, interrupted, and goes on from what is safe", async () => {
  agent.breaksAt = 4_500_000;
  await send("lucid.bundle", BUNDLE, PASSWORD);
  await page.waitForURL(/done=update-sent/);
  await page.getByText("The bundle is written and read back. It is not installed yet.").waitFor();
  const asked = agent.asked.filter((request) => request.request === "bundle");
  assert.equal(asked.length, 2);
  assert.equal(asked[0].offset, 0);
  // Chromium itself repeats a request whose connection was reset before an answer came, from the beginning; the
  // appliance then leaves out what is safe. Otherwise the page goes on from there.
  const goesOn = [4_000_000, agent.incoming.bundle];
  if (asked[1].offset !== 0) assert.deepEqual([asked[1].offset, asked[1].bundle], goesOn);
  assert.ok(agent.content.equals(BUNDLE), "the agent has other bytes than the file");
  await panel(/^Install version 1\.3\.0/).waitFor();
  await axe("written");
  await shoot("updates-written");
});

test("installing takes the password, and the page follows the trial live", async () => {
  // The first news redraws the form, and would take a password that was typed before.
  await page.locator("#link-state[data-state=live]").waitFor();
  await panel(/^Install version/).getByLabel("Your password").fill(PASSWORD);
  await page.getByRole("button", { name: "Install it" }).click();
  await page.waitForURL(/done=update-installing/);
  // Among other questions, which the appliance asks all the time.
  assert.equal(agent.asked.filter((request) => request.request === "install_update").length, 1);
  agent.report = { ...agent.report, running: "b", trial: true };
  agent.report.phase = {
    phase: "trying", incoming: agent.incoming, fit_for_s: 60, soak_s: 180, waiting_for: [],
  };
  await page.locator("#update-progress", { hasText: "fit for 60 of 180 s" }).waitFor();
  assert.equal(await page.locator("[aria-current=step]").innerText(), "Trial");
  await page.locator("#update-banner", { hasText: "It is not installed yet" }).waitFor();
  await axe("on trial");
  await shoot("updates-trial");
});

test("a release that was taken back is said to be that, on the overview too", async () => {
  const why = `session-storage was not healthy: ${HOSTILE}`;
  agent.report = { ...agent.report, running: "a", trial: false, phase: { phase: "idle" } };
  agent.report.history = [{
    at_ms: 1_760_000_000_000, version: "1.3.0", build_id: null, slot: "b",
    outcome: { outcome: "rolled_back", cause: "service", why, log: [HOSTILE, "panicked at disk.rs:7"] },
  }];
  await page.locator("#update-banner", { hasText: "Version 1.3.0 was tried and taken back" }).waitFor();
  await page.locator("#update-banner", { hasText: "Now 1.2.0 runs." }).waitFor();
  await page.getByText("Its last words").click();
  await axe("taken back");
  await shoot("updates-taken-back");
  await page.goto("/");
  await page.locator("#update", { hasText: "was tried and taken back" }).waitFor();
  await axe("overview, taken back");
  await shoot("overview-taken-back");
  assert.notEqual(await page.title(), "hacked");
});

test("the EEPROM is installed only with consent, and the page says what became of it", async () => {
  const section = page.getByRole("region", { name: "EEPROM", exact: true });
  const form = panel("Install the EEPROM of 2026-05-26");
  const orders = () => agent.asked.filter((request) => request.request === "install_eeprom");
  // The first thing that the live stream sends takes away what was typed before.
  const live = () => page.locator("#link-state[data-state=live]").waitFor();
  const fill = () => form.getByLabel("Your password").fill(PASSWORD);
  const send = () => form.getByRole("button", { name: "Install the EEPROM" }).click();
  await page.goto("/updates");
  await section.getByText("It can't be installed now: The board has this EEPROM already.").waitFor();
  agent.report = { ...agent.report, eeprom: { ...agent.report.eeprom, hindrance: null } };
  agent.report.eeprom_s = { present: 1_760_000_000 };
  await form.getByText("The power must not fail while it writes.").waitFor();
  await section.getByText("NET_INSTALL_AT_POWER_ON=0").waitFor();
  await axe("an EEPROM that can be installed");
  await shoot("updates-eeprom");

  await live();
  await fill();
  await send();
  const consent = form.getByLabel("I have read this and consent");
  assert.ok(await consent.evaluate((box) => box.validity.valueMissing), "the browser asks for the consent");
  await consent.evaluate((box) => box.remove());
  await send();
  await page.getByRole("alert").filter({ hasText: "tick that you consent" }).waitFor();
  assert.deepEqual(orders(), []);

  await page.goto("/updates");
  await live();
  await consent.check();
  await fill();
  await send();
  await page.waitForURL(/done=update-eeprom/);
  await page.getByText("Leave the power on.").waitFor();
  assert.deepEqual(orders(), [{ request: "install_eeprom", build_s: 1_779_753_600 }]);
  const last = { at_ms: 1_780_000_000_000, build_s: 1_779_753_600, done: false, text: `it was not taken ${HOSTILE}` };
  agent.report.eeprom = { ...agent.report.eeprom, last };
  await section.locator(".badge", { hasText: "not installed" }).waitFor();
  await section.getByText("It was not taken <img").waitFor();
  await axe("an EEPROM that was not installed");
  await shoot("updates-eeprom-failed");
  assert.notEqual(await page.title(), "hacked");
});

test("dark, and 320 pixels wide", async () => {
  await page.setViewportSize({ width: 320, height: 640 });
  await page.emulateMedia({ colorScheme: "dark" });
  await page.goto("/updates");
  const excess = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
  assert.ok(excess <= 0, `${excess} pixels too wide`);
  await axe("dark and narrow");
  await shoot("updates-narrow");
});
