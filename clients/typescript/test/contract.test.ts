import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { test } from "node:test";

import { fromBinary, toJson } from "@bufbuild/protobuf";
import { type FileDescriptorProto, FileDescriptorProtoSchema } from "@bufbuild/protobuf/wkt";

import * as client from "../src/index.js";
import { PROJECT, PYTHON } from "./server.js";

const PYTHON_STUBS = `
import importlib, json, pkgutil
import keepwell.v1
names = [module.name for module in pkgutil.iter_modules(keepwell.v1.__path__) if module.name.endswith("_pb2")]
files = [importlib.import_module("keepwell.v1." + name).DESCRIPTOR for name in names]
print(json.dumps({file.name: file.serialized_pb.hex() for file in files}))
`;

/** Returns a descriptor as text; without the fields' JSON names, which follow from their names and which protoc leaves out. */
function text(file: FileDescriptorProto): string {
  return JSON.stringify(toJson(FileDescriptorProtoSchema, file), (key, value) => (key === "jsonName" ? undefined : value), 1);
}

test("the generated code is that of the contract which the server serves", () => {
  const output = execFileSync(PYTHON, ["-c", PYTHON_STUBS], { cwd: PROJECT, encoding: "utf8" });
  const served = Object.entries(JSON.parse(output) as Record<string, string>);
  const generated = Object.values(client).flatMap((member) => ("kind" in member && member.kind === "file" ? [member.proto] : []));
  const mine = generated.map((file) => [file.name, text(file)]);
  const theirs = served.map(([name, hex]) => [name, text(fromBinary(FileDescriptorProtoSchema, Buffer.from(hex, "hex")))]);
  assert.deepEqual(Object.fromEntries(mine), Object.fromEntries(theirs), "run make clients");
});
