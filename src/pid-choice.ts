/** Which process and thread ids a restart gives. */

/** `same`: the ids of the checkpoint, or an error. `new`: whatever the kernel gives; threads get theirs again where it is free. */
export type PidChoice = 'same' | 'new';

export const pidChoices: readonly PidChoice[] = ['same', 'new'];
