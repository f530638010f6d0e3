import { describe, expect, it } from "vitest";
import { ofPipAudit } from "./images-audit.ts";

describe("pip-audit's answer", () => {
  it("names what is known, and what repairs it", () => {
    const vulns = [{ id: "PYSEC-2023-74", fix_versions: ["2.31.0"], aliases: [], description: "" }];
    const text = JSON.stringify({ dependencies: [{ name: "requests", version: "2.30.0", vulns }], fixes: [] });
    expect(ofPipAudit(text)).toEqual({
      vulnerabilities: ["requests 2.30.0: PYSEC-2023-74, repaired in 2.31.0"],
      unknown: null,
    });
  });

  it("is not taken for good news when packages were left out", () => {
    const skipped = { name: "requests", skip_reason: "Dependency not found on PyPI" };
    const clean = { name: "six", version: "1.17.0", vulns: [] };
    expect(ofPipAudit(JSON.stringify({ dependencies: [skipped, clean], fixes: [] }))).toEqual({
      vulnerabilities: [],
      unknown: "1 of 2 packages: Dependency not found on PyPI",
    });
  });
});
