// A locked appliance in a real browser: the one page that it shows, and what it says.
//
// Environment: LOCKED_URL (the dashboard of an appliance whose state is lost); CHROMIUM and SCREENSHOT_DIR as for the
// other tests.

import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";

import { AxeBuilder } from "@axe-core/playwright";
import { chromium } from "playwright-core";

const { LOCKED_URL, CHROMIUM = "/usr/bin/chromium", SCREENSHOT_DIR } = process.env;
assert.ok(LOCKED_URL, "set LOCKED_URL");

test("a locked appliance says why, and what to do, and offers nothing to fill in", async () => {
  const browser = await chromium.launch({ executablePath: CHROMIUM, chromiumSandbox: process.getuid() !== 0 });
  try {
    const context = await browser.newContext({ baseURL: LOCKED_URL, ignoreHTTPSErrors: true });
    const page = await context.newPage();
    for (const path of ["/", "/claim", "/login", "/sessions"]) {
      const response = await page.goto(path);
      assert.equal(response.status(), 423, path);
      await page.getByRole("heading", { name: "This appliance is locked" }).waitFor();
      const text = await page.locator("main").innerText();
      for (const words of ["the accounts of its owner are lost", "nobody can claim it", "flash.sh", "recovery key"]) {
        assert.ok(text.includes(words), `${path}: ${words}: ${text}`);
      }
      assert.equal(await page.locator("input, button").count(), 0, path);
    }
    const rules = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"];
    const { violations } = await new AxeBuilder({ page }).withTags(rules).analyze();
    assert.deepEqual(violations.map((found) => found.id), []);
    if (SCREENSHOT_DIR) await page.screenshot({ path: join(SCREENSHOT_DIR, "locked.png"), fullPage: true });
  } finally {
    await browser.close();
  }
});
