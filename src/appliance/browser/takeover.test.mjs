// Taking over the data disk of a former appliance, in a real browser: the page Storage asks for its recovery key.
//
// Environment: TAKEOVER_URL and CLAIM_CODE (an appliance that was never claimed, beside that disk) and RECOVERY_KEY (of
// the disk); CHROMIUM and SCREENSHOT_DIR as for the other tests.

import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";

import { AxeBuilder } from "@axe-core/playwright";
import { chromium } from "playwright-core";

const { TAKEOVER_URL, CLAIM_CODE, RECOVERY_KEY, CHROMIUM = "/usr/bin/chromium", SCREENSHOT_DIR } = process.env;
assert.ok(TAKEOVER_URL && CLAIM_CODE && RECOVERY_KEY, "set TAKEOVER_URL, CLAIM_CODE and RECOVERY_KEY");

const PASSWORD = "correct horse battery staple";
const RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"];

async function claim(page) {
  await page.goto("/claim");
  await page.getByLabel("One-time code").fill(CLAIM_CODE);
  await page.getByLabel("Your account name").fill("ada");
  await page.getByLabel("Password", { exact: true }).fill(PASSWORD);
  await page.getByLabel("Password again").fill(PASSWORD);
  await page.getByRole("button", { name: "Make it mine" }).click();
  await page.getByLabel("I have saved the recovery key.").check();
  await page.getByRole("button", { name: "Continue" }).click();
}

async function takeOver(page, key, ticked) {
  await page.getByLabel("Recovery key of the disk").fill(key);
  await page.getByLabel("From now on this appliance signs").setChecked(ticked);
  await page.getByLabel("Your password").fill(PASSWORD);
  await page.getByRole("button", { name: "Take the disk over" }).click();
}

test("the page says whose the disk is, asks for its key, and says what comes next", async () => {
  const browser = await chromium.launch({ executablePath: CHROMIUM, chromiumSandbox: process.getuid() !== 0 });
  try {
    const context = await browser.newContext({ baseURL: TAKEOVER_URL, ignoreHTTPSErrors: true });
    const page = await context.newPage();
    page.setDefaultTimeout(60_000);
    await claim(page);
    await page.getByText("page Storage").first().waitFor();
    await page.goto("/storage");
    await page.getByRole("heading", { name: "Take the data disk over" }).waitFor();
    const { violations } = await new AxeBuilder({ page }).withTags(RULES).analyze();
    assert.deepEqual(violations.map((found) => `${found.id}: ${found.nodes.map((node) => node.html)}`), []);
    if (SCREENSHOT_DIR) await page.screenshot({ path: join(SCREENSHOT_DIR, "takeover.png"), fullPage: true });
    await takeOver(page, "AGE-SECRET-KEY-1WRONG", true);
    await page.getByRole("alert").filter({ hasText: "not a recovery key" }).waitFor();
    await takeOver(page, RECOVERY_KEY, false);
    await page.getByRole("alert").filter({ hasText: "tick the box" }).waitFor();
    await takeOver(page, RECOVERY_KEY, true);
    await page.getByRole("status").filter({ hasText: "restart the appliance" }).waitFor();
    assert.equal(await page.getByRole("button", { name: "Take the disk over" }).count(), 0);
    assert.ok(!(await page.content()).includes(RECOVERY_KEY));
  } finally {
    await browser.close();
  }
});
