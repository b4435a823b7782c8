/** Sets that grow together: which names are connected, directly or through others. */

/** A disjoint-set forest over text. Every set is named after its smallest member. */
export class UnionFind {
  readonly #parents = new Map<string, string>();

  /** Makes sure that the name is in some set. */
  add(name: string): void {
    if (!this.#parents.has(name)) this.#parents.set(name, name);
  }

  /** Puts both names into one set. */
  join(a: string, b: string): void {
    const rootA = this.find(a);
    const rootB = this.find(b);
    if (rootA === rootB) return;
    if (rootA < rootB) this.#parents.set(rootB, rootA);
    else this.#parents.set(rootA, rootB);
  }

  /** The smallest member of the set that holds the name. */
  find(name: string): string {
    this.add(name);
    let root = name;
    for (let up = this.#parents.get(root); up !== undefined && up !== root; ) {
      root = up;
      up = this.#parents.get(root);
    }
    for (let step = name; step !== root; ) {
      const up = this.#parents.get(step) ?? root;
      this.#parents.set(step, root);
      step = up;
    }
    return root;
  }
}
