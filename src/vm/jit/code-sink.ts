import { ByteSink } from './byte-sink.ts';
import { W } from './wasm-codes.ts';

/** Alignment that is claimed for every memory access: none. */
const anyAlignment = 0;

/** Code of one function: instructions with their operands, one method for each form. */
export class CodeSink extends ByteSink {
  op(code: number): void {
    this.byte(code);
  }

  /** Any instruction with one index: `local.get`, `call`, `br`, … */
  indexed(code: number, index: number): void {
    this.byte(code);
    this.unsigned(index);
  }

  get(local: number): void {
    this.indexed(W.localGet, local);
  }

  set(local: number): void {
    this.indexed(W.localSet, local);
  }

  tee(local: number): void {
    this.indexed(W.localTee, local);
  }

  i32(value: number): void {
    this.byte(W.i32Const);
    this.signed(value);
  }

  i64(value: bigint): void {
    this.byte(W.i64Const);
    this.signedWide(value);
  }

  /** A load or store at a constant offset from the address on the stack. */
  memory(code: number, offset: number): void {
    this.byte(code);
    this.unsigned(anyAlignment);
    this.unsigned(offset);
  }

  /** A 32-bit result, zero-extended to a register. */
  extend(): void {
    this.byte(W.i64ExtendI32U);
  }

  /** The low half of a register. */
  low(local: number): void {
    this.get(local);
    this.byte(W.i32WrapI64);
  }
}
