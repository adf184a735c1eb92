/** What a detector's threshold is chosen for. */

export const AIMS = [
  { name: 'as likely right as wrong', aim: { probability: 0.5 } },
  { name: '90 % of what it finds right', aim: { precision: 0.9 } },
  { name: '90 % of all calls found', aim: { recall: 0.9 } },
] as const;
export type Aim = (typeof AIMS)[number]['aim'];
