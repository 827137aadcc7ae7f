/**
 * Enough of an assembler for WebAssembly (core specification 2.0, chapter 5, "Binary Format") to write a few loops over
 * vectors of 128 bits. Each instruction is a function that takes the code of its operands, as it is called in the text
 * format; what it gives is code that leaves its result on the stack. Nothing is checked here: the engine does that.
 */
export type Code = readonly number[];

export interface WasmFunction {
  /** That it is exported under. */
  readonly name: string;
  readonly parameters: readonly Code[];
  readonly locals: readonly Code[];
  readonly body: Code;
}

const FUNCTION_TYPE = 0x60;
const NO_RESULT = 0x40;
const END = 0x0b;

const [LOW_BITS, MORE] = [0x7f, 0x80];

/** LEB128. */
function unsigned(value: number): Code {
  return value > LOW_BITS ? [(value & LOW_BITS) | MORE, ...unsigned(value >>> 7)] : [value];
}

/** LEB128, of which the first bit not written is the sign. */
function signed(value: number): Code {
  const fits = value >= -64 && value < 64;
  return fits ? [value & LOW_BITS] : [(value & LOW_BITS) | MORE, ...signed(value >> 7)];
}

const float32 = (value: number): Code => [...new Uint8Array(Float32Array.of(value).buffer)];
const text = (value: string): Code => [...unsigned(value.length), ...Buffer.from(value, 'ascii')];
const vector = (items: readonly Code[]): Code => [...unsigned(items.length), ...items.flat()];
const sized = (code: Code): Code => [...unsigned(code.length), ...code];

/** The constant added to an address. The alignment before it is only a hint; 0 is a byte. */
const memarg = (offset: number): Code => [0, ...unsigned(offset)];
const simd = (opcode: number): Code => [0xfd, ...unsigned(opcode)];
const unary =
  (code: Code) =>
  (a: Code): Code => [...a, ...code];
const binary =
  (code: Code) =>
  (a: Code, b: Code): Code => [...a, ...b, ...code];

export const local = {
  get: (index: number): Code => [0x20, ...unsigned(index)],
  set: (index: number, value: Code): Code => [...value, 0x21, ...unsigned(index)],
};

/** Does `body`, then again as long as `condition` holds after it. */
export const loopWhile = (condition: Code, body: Code): Code => [
  ...[0x03, NO_RESULT],
  ...body,
  ...condition,
  ...[0x0d, 0],
  END,
];

export const i32 = {
  type: [0x7f] as Code,
  const: (value: number): Code => [0x41, ...signed(value)],
  ltU: binary([0x49]),
  add: binary([0x6a]),
  shl: binary([0x74]),
};

export const v128 = {
  load: (address: Code, offset: number): Code => [...address, ...simd(0x00), ...memarg(offset)],
  load16x4S: (address: Code, offset: number): Code => [...address, ...simd(0x03), ...memarg(offset)],
  load64Zero: (address: Code, offset: number): Code => [...address, ...simd(0x5d), ...memarg(offset)],
  store: (address: Code, value: Code, offset: number): Code => [...address, ...value, ...simd(0x0b), ...memarg(offset)],
  store64Lane: (address: Code, value: Code, offset: number, lane: number): Code => [
    ...address,
    ...value,
    ...simd(0x5b),
    ...memarg(offset),
    lane,
  ],
};

export const i8x16 = {
  shuffle: (a: Code, b: Code, lanes: readonly number[]): Code => [...a, ...b, ...simd(0x0d), ...lanes],
};

export const i16x8 = {
  narrowI32x4S: binary(simd(0x85)),
};

export const i32x4 = {
  shl: binary(simd(0xab)),
  shrS: binary(simd(0xac)),
  add: binary(simd(0xae)),
  truncSatF32x4S: unary(simd(0xf8)),
};

export const f32x4 = {
  splat: (value: number): Code => [0x43, ...float32(value), ...simd(0x13)],
  floor: unary(simd(0x68)),
  add: binary(simd(0xe4)),
  mul: binary(simd(0xe6)),
  convertI32x4S: unary(simd(0xfa)),
};

const MAGIC: Code = [0x00, 0x61, 0x73, 0x6d];
const VERSION: Code = [1, 0, 0, 0];
const SECTION = { types: 1, functions: 3, memories: 5, exports: 7, code: 10 } as const;
const EXPORTED = { function: 0x00, memory: 0x02 } as const;

const section = (id: number, items: readonly Code[]): Code => [id, ...sized(vector(items))];
const typeOf = ({ parameters }: WasmFunction): Code => [FUNCTION_TYPE, ...vector(parameters), ...vector([])];
const codeOf = ({ locals, body }: WasmFunction): Code =>
  sized([...vector(locals.map((type) => [1, ...type])), ...body, END]);

function assemble(functions: readonly WasmFunction[]): Uint8Array {
  const indexes = functions.map((_, index) => unsigned(index));
  const onePage = [0, 1];
  return Uint8Array.of(
    ...MAGIC,
    ...VERSION,
    ...section(SECTION.types, functions.map(typeOf)),
    ...section(SECTION.functions, indexes),
    ...section(SECTION.memories, [onePage]),
    ...section(SECTION.exports, [
      [...text('memory'), EXPORTED.memory, 0],
      ...functions.map(({ name }, index) => [...text(name), EXPORTED.function, ...unsigned(index)]),
    ]),
    ...section(SECTION.code, functions.map(codeOf)),
  );
}

/** As far as it is used here: TypeScript knows it of browsers only. */
interface Global {
  readonly WebAssembly: {
    readonly Module: new (bytes: Uint8Array) => object;
    readonly Instance: new (module: object) => { readonly exports: unknown };
  };
}

/**
 * `functions`, which give no result, by their names, and `memory`, one page (64 KiB) that is theirs.
 * @throws where there is no WebAssembly (`node --jitless`), where it has no vectors (a processor without SSE4.1), and
 * where no address space is left for the memory.
 */
export function instantiate(functions: readonly WasmFunction[]): unknown {
  const { Module, Instance } = (globalThis as unknown as Global).WebAssembly;
  return new Instance(new Module(assemble(functions))).exports;
}
