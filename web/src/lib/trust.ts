/** Whether the figures of a detector say anything: by the widths of their 95 % intervals. */
import type { DetectorReport, Estimate } from '../api/types';

/** An interval wider than this says next to nothing. */
const WIDE = 0.4;

export const vague = ({ low, high }: Estimate): boolean => high - low > WIDE;

type Figures = Pick<DetectorReport, 'held_out' | 'average_precision' | 'precision' | 'recall'>;

export const trusted = ({ held_out, average_precision, precision, recall }: Figures): boolean =>
  held_out !== 'nothing' && average_precision !== null && ![average_precision, precision, recall].some(vague);
