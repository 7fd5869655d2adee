// The part of the WebAssembly JavaScript interface that is used here. The types that come
// with TypeScript's DOM library would bring every browser global along.
declare namespace WebAssembly {
  class Memory {
    constructor(descriptor: { initial: number });
    readonly buffer: ArrayBuffer;
  }
  class Module {
    constructor(bytes: Uint8Array);
    static imports(module: Module): { module: string; name: string; kind: string }[];
    static exports(module: Module): { name: string; kind: string }[];
  }
  class RuntimeError extends Error {}
}
