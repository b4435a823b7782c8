/**
 * The public surface of the library: read a config and a host, observe, plan, apply, verify. The
 * native port is not here, so that importing the package loads no kernel binding; import
 * `autodomain/native` for it.
 */

export type { Clock, MonotonicMs } from './base/clock.ts';
export { AutodomainError, EXIT } from './base/errors.ts';
export type { Bdf, DevId, DeviceKey, GroupId, HwptId, IoasId, MdevUuid } from './base/ids.ts';
export type { IovaRange } from './base/iova.ts';
export type { ApplyOptions } from './engine/apply.ts';
export { applyPlan } from './engine/apply.ts';
export type { Attempt, Planned } from './engine/attempt.ts';
export { applyAttempt, planAttempt } from './engine/attempt.ts';
export type { ManagedHost } from './engine/host.ts';
export { observeHost, runContextOf } from './engine/host.ts';
export type { Journal, JournalChange } from './engine/journal.ts';
export { MemoryJournal } from './engine/journal.ts';
export type { ApplyEvent, ApplyResult, CellOutcome, StepOutcome } from './engine/outcome.ts';
export { formatCell, formatSummary } from './engine/report.ts';
export { buildGraph } from './graph/build.ts';
export { checkGraph } from './graph/check.ts';
export { graphToJson } from './graph/format/json.ts';
export { formatGraph } from './graph/format/text.ts';
export { snapshotHost } from './graph/snapshot.ts';
export type { Graph, HeldContext, KnownFacts, Observation } from './graph/types.ts';
export { KernelError } from './kernel/call.ts';
export { observe } from './kernel/observe.ts';
export type { Syscalls } from './kernel/port.ts';
export { SyscallError } from './kernel/port.ts';
export { Machine } from './kernel/sim/machine.ts';
export { explainBlocker } from './plan/blockers.ts';
export { planToJson } from './plan/format-json.ts';
export { formatPlan } from './plan/format-text.ts';
export { planHost } from './plan/planner.ts';
export { DEFAULT_OPTIONS } from './plan/planner-options.ts';
export type { Blocker, Drift, Expectation, Plan, PlanOptions } from './plan/types.ts';
export { verify } from './plan/verify.ts';
export type { Source } from './source/files.ts';
export { readSource } from './source/files.ts';
export type { Config, ContainerSpec } from './spec/config.ts';
export { formatIssues } from './spec/format.ts';
export type { IssueList, SpecIssue } from './spec/issues.ts';
export { readConfig } from './spec/read-config.ts';
export { readHost } from './spec/read-host.ts';
export type { ContainerDocument, HostDocument } from './spec/types.generated.ts';
export type { Action, Step, StepKind } from './steps/def.ts';
export { describeAction, predictAll } from './steps/index.ts';
