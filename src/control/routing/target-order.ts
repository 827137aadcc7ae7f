interface Weighted {
  readonly weight?: number;
}

/**
 * The order in which a call tries its route's targets: as written, or, when any has a weight, drawn anew for each call
 * with the weights as odds (1 where none is given). A weight of 0 is a target that is only tried when the others fail.
 * `random` gives numbers in [0, 1).
 */
export function orderTargets<T extends Weighted>(targets: readonly T[], random: () => number): readonly T[] {
  if (targets.every(({ weight }) => weight === undefined)) return targets;
  const left = [...targets];
  const order: T[] = [];
  while (left.length > 0) {
    const total = left.reduce((sum, target) => sum + weightOf(target), 0);
    let drawn = random() * total;
    let index = left.findIndex((target) => (drawn -= weightOf(target)) < 0);
    if (index < 0) index = 0;
    order.push(...left.splice(index, 1));
  }
  return order;
}

const weightOf = ({ weight = 1 }: Weighted): number => weight;
