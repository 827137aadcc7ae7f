import { describe, expect, it } from 'vitest';
import { nextState, type CallInput, type CallState } from '../../../src/control/call-state.js';

const STATES: CallState[] = ['received', 'connecting', 'answering', 'active', 'transferring', 'closing', 'closed'];
const INPUTS: CallInput[] = ['accept', 'agent-ready', 'answered', 'transfer', 'transfer-failed', 'end', 'released'];

describe('the states of a call', () => {
  it('follow one another in one way', () => {
    let state: CallState | undefined = 'received';
    for (const [input, next] of [
      ['accept', 'connecting'],
      ['agent-ready', 'answering'],
      ['answered', 'active'],
      ['end', 'closing'],
      ['released', 'closed'],
    ] as const) {
      state = nextState(state, input);
      expect(state).toBe(next);
      if (state === undefined) return;
    }
  });

  it('let it end from everywhere, once', () => {
    for (const state of STATES) {
      const open = state !== 'closing' && state !== 'closed';
      expect(nextState(state, 'end')).toBe(open ? 'closing' : undefined);
    }
  });

  it('let nothing follow the end', () => {
    for (const input of INPUTS) {
      expect(nextState('closed', input)).toBeUndefined();
      if (input !== 'released') expect(nextState('closing', input)).toBeUndefined();
    }
  });

  it('do not change when another agent takes over', () => {
    expect(nextState('answering', 'agent-ready')).toBe('answering');
    expect(nextState('active', 'agent-ready')).toBe('active');
    expect(nextState('transferring', 'agent-ready')).toBe('transferring');
  });

  it('can be left for a transfer only while active, and come back when it fails', () => {
    expect(STATES.filter((state) => nextState(state, 'transfer') !== undefined)).toEqual(['active']);
    expect(nextState('active', 'transfer')).toBe('transferring');
    expect(STATES.filter((state) => nextState(state, 'transfer-failed') !== undefined)).toEqual(['transferring']);
    expect(nextState('transferring', 'transfer-failed')).toBe('active');
  });

  it('never go back otherwise', () => {
    for (const state of STATES) {
      for (const input of INPUTS) {
        const next = nextState(state, input);
        if (next !== undefined && input !== 'transfer-failed')
          expect(STATES.indexOf(next)).toBeGreaterThanOrEqual(STATES.indexOf(state));
      }
    }
  });

  it('can be answered only while answering', () => {
    expect(STATES.filter((state) => nextState(state, 'answered') !== undefined)).toEqual(['answering']);
    expect(STATES.filter((state) => nextState(state, 'accept') !== undefined)).toEqual(['received']);
  });
});
