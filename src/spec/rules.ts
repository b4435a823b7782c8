/** The rules that a config or a Host file can break. Ids are stable: scripts and editors match on them. */

/** Rule ids with what each is about. AD1: files and YAML. AD2: shape. AD3: meaning. AD4: Host files. */
export const SPEC_RULES = {
  AD1001: 'file cannot be read',
  AD1002: 'not UTF-8',
  AD1003: 'control character',
  AD1004: 'too large',
  AD1005: 'not a regular file inside the tree',
  AD1006: 'not valid YAML',
  AD1007: 'duplicate key',
  AD1008: 'alias, anchor or merge key',
  AD1009: 'tag or directive',
  AD1010: 'too deep',
  AD1011: 'plain text that YAML 1.1 reads as something else',
  AD1012: 'the set of files keeps changing',
  AD1013: 'others can write there',
  AD2001: 'not an object of autodomain',
  AD2002: 'unknown key',
  AD2003: 'wrong type',
  AD2004: 'missing field',
  AD2005: 'not one of the allowed words',
  AD2006: 'wrong form',
  AD2007: 'out of bounds',
  AD3001: 'name used twice',
  AD3002: 'device claimed twice',
  AD3003: 'claim is not one device or one selector',
  AD3004: 'rename that cannot be followed',
  AD3005: 'range is empty or overlaps',
  AD3006: 'tracking that has nothing to track',
  AD4001: 'reference to something that is not there',
  AD4002: 'listed twice',
  AD4003: 'contradiction',
} as const;

/** The id of a rule. */
export type RuleId = keyof typeof SPEC_RULES;
