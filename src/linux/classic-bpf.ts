/**
 * What a seccomp filter says to a system call: an interpreter of the classic BPF that seccomp allows. Programs from an
 * image are not trusted: whatever the kernel would refuse to install answers undefined.
 * Source: Documentation/networking/filter.rst, kernel/seccomp.c (seccomp_check_filter).
 */
import { seccomp_data, sock_filter } from './abi/seccomp.ts';
import { viewOf } from './structs.ts';

const SECCOMP_RET_ACTION_FULL = 0xffff_0000;
const SECCOMP_RET_ALLOW = 0x7fff_0000;
const SECCOMP_RET_LOG = 0x7ffc_0000;
export const SECCOMP_RET_USER_NOTIF = 0x7fc0_0000;

const RET_K = 0x06;

/** A system call as filters see it. */
export interface FilteredCall {
  readonly nr: number;
  /** AUDIT_ARCH_*. */
  readonly arch: number;
  readonly instructionPointer: bigint;
  readonly parameters: readonly bigint[];
}

/** Whether the filter lets the call through to the kernel. */
export function allows(program: Uint8Array, call: FilteredCall): boolean {
  const action = run(program, viewOf(dataOf(call)));
  const kind = action === undefined ? undefined : (action & SECCOMP_RET_ACTION_FULL) >>> 0;
  return kind === SECCOMP_RET_ALLOW || kind === SECCOMP_RET_LOG;
}

/** Whether it hands calls to a process that listens. */
export function notifies(program: Uint8Array): boolean {
  const view = viewOf(program);
  for (let at = 0; at + sock_filter.size <= program.length; at += sock_filter.size) {
    const { code, k } = sock_filter.read(view, at);
    if (code === RET_K && (k & SECCOMP_RET_ACTION_FULL) >>> 0 === SECCOMP_RET_USER_NOTIF) return true;
  }
  return false;
}

function dataOf({ nr, arch, instructionPointer, parameters }: FilteredCall): Uint8Array {
  const words = Object.fromEntries(parameters.map((word, index) => [`args[${index}]`, BigInt.asUintN(64, word)]));
  return seccomp_data.make({ nr, arch, instruction_pointer: instructionPointer, ...words });
}

function run(program: Uint8Array, data: DataView): number | undefined {
  const view = viewOf(program);
  const memory = new Uint32Array(16);
  let a = 0;
  let x = 0;
  const load = (at: number): number | undefined => {
    return at % 4 === 0 && at + 4 <= data.byteLength ? data.getUint32(at, true) : undefined;
  };
  // Jumps go forward only, so every instruction is met once at most.
  for (let next = 0; (next + 1) * sock_filter.size <= program.length; next++) {
    const { code, jt, jf, k } = sock_filter.read(view, next * sock_filter.size);
    switch (code) {
      case RET_K:
        return k;
      case 0x16: // RET A
        return a;
      case 0x20: {
        const word = load(k); // LD W ABS
        if (word === undefined) return undefined;
        a = word;
        break;
      }
      case 0x00: // LD IMM
        a = k;
        break;
      case 0x01: // LDX IMM
        x = k;
        break;
      case 0x80: // LD LEN
        a = data.byteLength;
        break;
      case 0x81: // LDX LEN
        x = data.byteLength;
        break;
      case 0x60: // LD MEM
        a = memory[k] ?? 0;
        break;
      case 0x61: // LDX MEM
        x = memory[k] ?? 0;
        break;
      case 0x02: // ST
        memory[k] = a;
        break;
      case 0x03: // STX
        memory[k] = x;
        break;
      case 0x07: // TAX
        x = a;
        break;
      case 0x87: // TXA
        a = x;
        break;
      case 0x05: // JA
        next += k;
        break;
      default: {
        const operand = (code & 0x08) === 0 ? k : x;
        if ((code & 0x07) === 0x05) {
          const taken = jump(code & 0xf0, a, operand);
          if (taken === undefined) return undefined;
          next += taken ? jt : jf;
          break;
        }
        const value = (code & 0x07) === 0x04 ? compute(code & 0xf0, a, operand) : undefined;
        if (value === undefined) return undefined;
        a = value >>> 0;
      }
    }
  }
  return undefined;
}

function jump(operation: number, a: number, operand: number): boolean | undefined {
  switch (operation) {
    case 0x10:
      return a === operand;
    case 0x20:
      return a > operand;
    case 0x30:
      return a >= operand;
    case 0x40:
      return (a & operand) !== 0;
    default:
      return undefined;
  }
}

function compute(operation: number, a: number, operand: number): number | undefined {
  switch (operation) {
    case 0x00:
      return a + operand;
    case 0x10:
      return a - operand;
    case 0x20:
      return Math.imul(a, operand);
    case 0x30:
      return operand === 0 ? undefined : Math.floor(a / operand);
    case 0x40:
      return a | operand;
    case 0x50:
      return a & operand;
    case 0x60:
      return operand > 31 ? 0 : a << operand;
    case 0x70:
      return operand > 31 ? 0 : a >>> operand;
    case 0x80:
      return -a;
    case 0xa0:
      return a ^ operand;
    default:
      return undefined;
  }
}
