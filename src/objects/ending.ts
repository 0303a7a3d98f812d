/** What a checkpoint does around the end of the processes, where they are to end. Disposing takes back what is still held. */
export class Ending implements Disposable {
  readonly #steps: (() => () => void)[] = [];
  readonly #held: Disposable[] = [];

  /** `before` is called when the image is safe and the processes still live; what it returns, when they have been killed. */
  around(before: () => () => void): void {
    this.#steps.push(before);
  }

  /** Until the end, or until it is clear that there will be none. */
  hold<T extends Disposable>(thing: T): T {
    this.#held.push(thing);
    return thing;
  }

  /** To be called before the kill; returns what is to be called after it. */
  begin(): () => void {
    const afterwards = this.#steps.map((before) => before());
    return () => {
      for (const step of afterwards) step();
    };
  }

  [Symbol.dispose](): void {
    for (const thing of this.#held.splice(0).toReversed()) thing[Symbol.dispose]();
  }
}
