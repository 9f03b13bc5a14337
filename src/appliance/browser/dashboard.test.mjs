// The dashboard in a real browser, from the one-time code to the audit log, against a running appliance that nobody
// has claimed yet. The tests build on each other: run the whole file.
//
// Environment: BASE_URL (where the dashboard is), CLAIM_CODE (the one-time code); CHROMIUM (default /usr/bin/chromium)
// and SCREENSHOT_DIR (screenshots are taken where it is set) are optional.
//
// Every page must be free of console errors, which is where a violated content security policy shows, of dialogs, and
// of what axe finds against WCAG 2.2 AA. States are waited for, never durations.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, test } from "node:test";

import { AxeBuilder } from "@axe-core/playwright";
import { chromium } from "playwright-core";

import { brittleWay } from "./brittle-way.mjs";

const { BASE_URL, CLAIM_CODE, CHROMIUM = "/usr/bin/chromium", SCREENSHOT_DIR } = process.env;
assert.ok(BASE_URL && CLAIM_CODE, "set BASE_URL and CLAIM_CODE");

const NAME = "ada";
const PASSWORD = "correct horse battery staple";
const HOSTILE = `<img src=x onerror="document.title='hacked'"><script>alert(1)</script>`;
// More than one chunk of what no compressor makes smaller: SHA-256 in counter mode, the same in every run.
const CONTENT = Buffer.concat(Array.from({ length: 320_000 }, (_, index) =>
  createHash("sha256").update(`${index}`).digest()));
const RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"];
// A block comes every ten seconds; the anchor may just miss one.
const ANCHOR_MAX_MS = 60_000;

let browser;
let admin;
let sessionPath;

before(async () => {
  // Chromium refuses its sandbox to root, who is who runs tests in a container.
  browser = await chromium.launch({ executablePath: CHROMIUM, chromiumSandbox: process.getuid() !== 0 });
});

after(async () => browser?.close());

// A browser window that notes everything that must not happen.
async function visit(options = {}) {
  const context = await browser.newContext({ baseURL: BASE_URL, ignoreHTTPSErrors: true, ...options });
  const page = await context.newPage();
  const problems = [];
  page.on("pageerror", (error) => problems.push(`error: ${error.message}`));
  page.on("dialog", (dialog) => { problems.push(`dialog: ${dialog.message()}`); dialog.dismiss(); });
  page.on("console", (message) => {
    // The browser itself reports every reply of 400 and above; those are asserted where they are expected.
    const isStatus = message.text().startsWith("Failed to load resource: the server responded with a status of 4");
    if (message.type() === "error" && !isStatus) problems.push(`console: ${message.text()}`);
  });
  page.setDefaultTimeout(60_000);
  return { context, page, problems };
}

function check(visitor) {
  assert.deepEqual(visitor.problems, []);
}

async function axe(page, where) {
  const { violations } = await new AxeBuilder({ page }).withTags(RULES).analyze();
  const told = violations.map((found) => `${found.id}: ${found.nodes.map((node) => node.html).join(" | ")}`);
  assert.deepEqual(told, [], `axe, ${where}`);
}

async function shoot(page, name) {
  if (SCREENSHOT_DIR) await page.screenshot({ path: join(SCREENSHOT_DIR, `${name}.png`), fullPage: true });
}

async function logIn(page, name, password) {
  await page.goto("/login");
  await page.getByLabel("Account name").fill(name);
  await page.getByLabel("Password").fill(password);
  await page.getByRole("button", { name: "Log in" }).click();
}

test("an unclaimed appliance is claimed with its code", async () => {
  admin = await visit();
  const { page } = admin;
  await page.goto("/sessions");
  assert.equal(new URL(page.url()).pathname, "/claim");
  await axe(page, "claim");
  await shoot(page, "claim");
  const fill = async (code) => {
    await page.getByLabel("One-time code").fill(code);
    await page.getByLabel("Your account name").fill(NAME);
    await page.getByLabel("Password", { exact: true }).fill(PASSWORD);
    await page.getByLabel("Password again").fill(PASSWORD);
    await page.getByRole("button", { name: "Make it mine" }).click();
  };
  await fill("WRNG-WRNG-WRNG-WRNG");
  await page.getByRole("alert").waitFor();
  await fill(CLAIM_CODE);
  await page.getByRole("heading", { name: "Your recovery key" }).waitFor();
  const key = await page.locator("#recovery-key").innerText();
  assert.match(key, /^AGE-SECRET-KEY-1[0-9A-Z]+$/);
  await axe(page, "recovery key");
  await page.getByLabel("I have saved the recovery key.").check();
  await page.getByRole("button", { name: "Continue" }).click();
  await page.getByText("The appliance is yours.").waitFor();
  assert.ok(!(await page.content()).includes(key));
  check(admin);
});

test("the overview becomes well, and stays live", async () => {
  const { page } = admin;
  await page.goto("/");
  await page.locator("#verdict", { hasText: "All is well" }).waitFor();
  await page.locator("#link-state[data-state=live]").waitFor();
  const uptime = page.locator(".fact", { hasText: "Uptime" }).locator("dd");
  const before = await uptime.innerText();
  await page.waitForFunction(
    (text) => [...document.querySelectorAll(".fact")].some((fact) =>
      fact.innerText.startsWith("Uptime") && !fact.innerText.includes(text)),
    before,
  );
  await page.locator("#temperature svg").waitFor();
  await axe(page, "overview, light");
  await shoot(page, "overview-light");
  await page.emulateMedia({ colorScheme: "dark" });
  await axe(page, "overview, dark");
  await shoot(page, "overview-dark");
  await page.emulateMedia({ colorScheme: "light" });
  check(admin);
});

test("a lost connection is said, and found again", async () => {
  const { page, context } = admin;
  await context.setOffline(true);
  await page.evaluate(() => document.dispatchEvent(new Event("visibilitychange")));
  await page.locator("#link-state[data-state=lost]").waitFor();
  assert.match(await page.locator("#link-state").innerText(), /is lost/);
  await context.setOffline(false);
  await page.locator("#link-state[data-state=live]").waitFor();
  admin.problems.splice(0, Infinity, ...admin.problems.filter((text) => !text.includes("ERR_INTERNET_DISCONNECTED")));
  check(admin);
});

test("a file is recorded with progress, anchored and verified", async () => {
  const { page } = admin;
  await page.goto("/sessions");
  await page.getByLabel("Label").fill(HOSTILE);
  await page.locator("#file").setInputFiles({ name: "talk.bin", mimeType: "application/octet-stream", buffer: CONTENT });
  await page.getByRole("button", { name: "Record" }).click();
  await page.waitForURL(/\/sessions\/[0-9a-f-]{36}/);
  sessionPath = new URL(page.url()).pathname;
  await page.locator("#session", { hasText: "anchored" }).waitFor({ timeout: ANCHOR_MAX_MS });
  assert.equal(await page.getByRole("heading", { level: 1 }).innerText(), HOSTILE);
  await axe(page, "session");
  await page.getByRole("button", { name: "Verify" }).click();
  await page.getByText("The anchor is valid").waitFor();
  assert.equal(await page.locator("#verification li").count(), 6);
  await axe(page, "verification");
  await shoot(page, "session");
  assert.notEqual(await page.title(), "hacked");
  check(admin);
});

// Asks until `wanted` is satisfied. The appliance says nothing by itself of what is durable.
async function until(what, ask, wanted) {
  const end = Date.now() + ANCHOR_MAX_MS;
  for (;;) {
    const found = await ask();
    if (wanted(found)) return found;
    assert.ok(Date.now() < end, `${what}: ${JSON.stringify(found)}`);
    await new Promise((resolve) => { setTimeout(resolve, 200); });
  }
}

test("an upload whose connection breaks goes on from the last durable chunk", async (t) => {
  const content = Buffer.concat([CONTENT, CONTENT, CONTENT]);
  const way = await brittleWay(BASE_URL, 20_000_000);
  const page = await admin.context.newPage();
  t.after(async () => {
    await page.close();
    way.close();
  });
  page.on("pageerror", (error) => admin.problems.push(`error: ${error.message}`));
  const appends = [];
  page.on("request", (request) => {
    if (request.method() === "PATCH") appends.push(Number(request.headers()["upload-offset"]));
  });
  await page.goto(`${way.address}/sessions`);
  await page.getByLabel("Label").fill("broken on the way");
  await page.locator("#file").setInputFiles({ name: "long.bin", mimeType: "application/octet-stream", buffer: content });
  await page.getByRole("button", { name: "Record" }).click();
  await way.isStuck;
  const newest = async () => (await (await admin.context.request.get("/api/sessions?limit=1")).json()).sessions[0];
  const half = await until("a durable chunk", newest, (session) => session.durable_bytes > 0);
  assert.equal(half.label, "broken on the way");
  assert.ok(half.durable_bytes < 20_000_000);
  way.cut();
  await page.locator("#upload-said", { hasText: "Interrupted (the connection broke)" }).waitFor();
  way.mend();
  await page.waitForURL(/\/sessions\/[0-9a-f-]{36}\?done=uploaded/, { timeout: ANCHOR_MAX_MS });
  await page.getByText("The recording is complete.").waitFor();
  assert.equal(appends[0], 0);
  assert.ok(appends.length > 1 && appends.slice(1).every((offset) => offset >= half.durable_bytes), `went on at ${appends}`);
  const reply = await admin.context.request.get(`/api/sessions/${half.id}/content`);
  assert.ok(content.equals(await reply.body()), "the recording differs from the file");
  check(admin);
});

test("the download equals what was uploaded", async () => {
  const { page } = admin;
  await page.goto(sessionPath);
  const download = page.waitForEvent("download");
  await page.getByRole("link", { name: "Download content" }).click();
  const content = await readFile(await (await download).path());
  assert.ok(content.equals(CONTENT), `${content.length} bytes came, ${CONTENT.length} were sent`);
  const exported = page.waitForEvent("download");
  await page.getByRole("link", { name: "Download export" }).click();
  const archive = await readFile(await (await exported).path());
  assert.ok(archive.includes("proof.json") && archive.includes("lucid.session/v1"));
  check(admin);
});

test("the anchor leads to its block and back", async () => {
  const { page } = admin;
  await page.goto(sessionPath);
  await page.locator("#session").getByRole("link", { name: /^Block \d+$/ }).click();
  await page.getByRole("heading", { level: 1, name: /^Block \d+$/ }).waitFor();
  await axe(page, "block");
  await page.getByRole("table").getByRole("link").first().click();
  assert.equal(new URL(page.url()).pathname, sessionPath);
  await page.getByRole("link", { name: "Blocks" }).click();
  await axe(page, "blocks");
  await page.getByRole("button", { name: "Validate the whole chain" }).click();
  await page.locator("#validation", { hasText: "blocks are right" }).waitFor();
  check(admin);
});

test("hostile text in logs and the audit log is text", async () => {
  const stranger = await visit();
  await logIn(stranger.page, HOSTILE, "wrong password");
  await stranger.page.getByRole("alert").waitFor();
  check(stranger);
  await stranger.context.close();
  const { page } = admin;
  for (const path of ["/services", "/services/auth-service", "/services/session-api", "/audit", "/accounts", "/storage", "/updates", "/system"]) {
    await page.goto(path);
    await axe(page, path);
    assert.equal(await page.locator("img").count(), 0, path);
    assert.notEqual(await page.title(), "hacked");
  }
  check(admin);
});

test("services are restarted and their log level is set", async () => {
  const { page } = admin;
  await page.goto("/services/thermal-watch");
  await page.getByLabel("Log level").selectOption("debug");
  await page.getByRole("button", { name: "Set" }).click();
  await page.getByText("The log level was changed.").waitFor();
  assert.equal(await page.getByLabel("Log level").inputValue(), "debug");
  await page.getByRole("button", { name: "Restart this service" }).click();
  await page.locator("#service .fact", { hasText: "Restarts" }).locator("dd", { hasText: /^[1-9]/ }).waitFor();
  await page.goto("/audit");
  await page.getByRole("cell", { name: "restart", exact: true }).first().waitFor();
  check(admin);
});

test("log-out ends the session; a wrong password is refused, the right one leads back", async () => {
  const { page } = admin;
  await page.goto("/account");
  await axe(page, "account");
  await page.getByRole("button", { name: "Log out" }).click();
  await page.getByText("You are logged out.").waitFor();
  await axe(page, "log-in");
  await page.goto(sessionPath);
  assert.equal(new URL(page.url()).pathname, "/login");
  await page.getByLabel("Account name").fill(NAME);
  await page.getByLabel("Password").fill("not the password");
  await page.getByRole("button", { name: "Log in" }).click();
  await page.getByRole("alert").waitFor();
  await axe(page, "log-in, refused");
  await page.getByLabel("Password").fill(PASSWORD);
  await page.getByRole("button", { name: "Log in" }).click();
  await page.waitForURL(`**${sessionPath}`);
  check(admin);
});

test("a user sees their own and nothing else", async () => {
  const { page } = admin;
  await page.goto("/accounts");
  await page.getByLabel("Name", { exact: true }).fill("bob");
  await page.getByLabel("First password").fill(PASSWORD);
  await page.getByRole("button", { name: "Add" }).click();
  await page.getByText("The account was added.").waitFor();
  const bob = await visit();
  await logIn(bob.page, "bob", PASSWORD);
  await bob.page.getByRole("link", { name: "Overview" }).waitFor();
  for (const word of ["Services", "Accounts", "Audit"]) {
    assert.equal(await bob.page.getByRole("navigation").getByRole("link", { name: word }).count(), 0, word);
  }
  assert.equal((await bob.page.goto("/accounts")).status(), 403);
  assert.equal((await bob.page.goto(sessionPath)).status(), 404);
  await bob.page.goto("/sessions");
  await bob.page.getByText("Nothing has been recorded yet.").waitFor();
  check(bob);
  await bob.context.close();
});

test("the keyboard is enough to log in and look around", async () => {
  const visitor = await visit();
  const { page } = visitor;
  await page.goto("/login");
  await page.locator("#name:focus").waitFor();
  await page.keyboard.type(NAME);
  await page.keyboard.press("Tab");
  await page.keyboard.type(PASSWORD);
  await page.keyboard.press("Enter");
  await page.locator("#verdict").waitFor();
  await page.keyboard.press("Tab");
  assert.equal(await page.evaluate(() => document.activeElement.textContent), "Skip to the content");
  await page.keyboard.press("Enter");
  assert.equal(await page.evaluate(() => document.activeElement.id), "main");
  check(visitor);
  await visitor.context.close();
});

test("without JavaScript every page can be read and a file recorded", async () => {
  const visitor = await visit({ javaScriptEnabled: false });
  const { page } = visitor;
  await logIn(page, NAME, PASSWORD);
  // Nothing redraws the page here but loading it again.
  for (let tries = 0; !(await page.getByText("All is well").count()); tries += 1) {
    assert.ok(tries < 60, await page.locator("main").innerText());
    await new Promise((resolve) => { setTimeout(resolve, 1000); });
    await page.goto("/");
  }
  for (const path of ["/sessions", sessionPath, "/blocks", "/services", "/services/auth-service", "/accounts", "/audit", "/storage", "/updates", "/system"]) {
    assert.equal((await page.goto(path)).status(), 200, path);
    assert.equal(await page.getByRole("heading", { level: 1 }).count(), 1, path);
  }
  await page.goto("/sessions");
  await page.getByLabel("Label").fill("plain form");
  await page.locator("#file").setInputFiles({ name: "a.txt", mimeType: "text/plain", buffer: Buffer.from("hello") });
  await page.getByRole("button", { name: "Record" }).click();
  await page.getByText("The recording is complete.").waitFor();
  await page.getByRole("heading", { level: 1, name: "plain form" }).waitFor();
  await page.getByRole("link", { name: "Delete", exact: true }).click();
  await page.getByRole("button", { name: "Delete for ever" }).click();
  await page.getByText("The recording was shredded").waitFor();
  check(visitor);
  await visitor.context.close();
});

test("a window of 320 pixels is wide enough", async () => {
  const visitor = await visit({ viewport: { width: 320, height: 640 }, colorScheme: "dark" });
  const { page } = visitor;
  await logIn(page, NAME, PASSWORD);
  await page.locator("#verdict").waitFor();
  for (const path of ["/", "/sessions", sessionPath, "/blocks", "/blocks/1", "/services", "/services/auth-service", "/accounts", "/audit", "/account", "/storage", "/updates", "/system"]) {
    await page.goto(path);
    const excess = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
    assert.ok(excess <= 0, `${path} is ${excess} pixels too wide`);
    await axe(page, `${path}, dark and narrow`);
  }
  await page.goto("/");
  await shoot(page, "overview-narrow");
  check(visitor);
  await visitor.context.close();
});
