/**
 * The command line as data. Parsing, --help, the man pages, the shell completions and docs/command-line.md all come
 * from this table, so none of them can say something else than another.
 */
import type { ErrorCode } from '../errors.ts';

export type CommandName = 'checkpoint' | 'restart' | 'branch' | 'run' | 'inspect' | 'verify' | 'merge' | 'doctor';

/** What a shell offers after the Tab key. */
export type Completion = 'file' | 'pid' | 'command';

export interface ArgumentSpec {
  readonly name: string;
  readonly summary: string;
  readonly completion: Completion;
  readonly optional?: boolean;
  /** Takes this and everything after it, options of the stranger's command included. */
  readonly rest?: boolean;
}

export interface OptionSpec {
  /** Long name, without the dashes. */
  readonly name: string;
  readonly short?: string;
  readonly summary: string;
  /** Name of the value; absent for a switch. */
  readonly value?: string;
  readonly completion?: Completion;
  /** May be given more than once. */
  readonly repeats?: true;
  /** Long names that make no sense together with this one. */
  readonly excludes?: readonly string[];
}

export interface Example {
  readonly line: string;
  readonly meaning: string;
}

/** One field of the document that --json prints. `path` is as in `stats.freezeMs`, `checks[].name`. */
export interface JsonField {
  readonly path: string;
  readonly type: string;
  readonly meaning: string;
}

export interface CommandSpec {
  readonly name: CommandName;
  /** The RFC's own name for the same verb. */
  readonly alias?: 'ckpt' | 'rstr';
  readonly summary: string;
  /** Paragraphs. */
  readonly description: readonly string[];
  readonly arguments: readonly ArgumentSpec[];
  readonly options: readonly OptionSpec[];
  readonly examples: readonly Example[];
  readonly json?: readonly JsonField[];
  /** The codes that this command can end with, besides 0. */
  readonly errors: readonly ErrorCode[];
}

const json: OptionSpec = { name: 'json', summary: 'Print one JSON document on standard output, also for an error' };
const stats: OptionSpec = { name: 'stats', summary: 'Print how long each phase took, on standard error' };
const quiet: OptionSpec = { name: 'quiet', short: 'q', summary: 'Print nothing but results and errors' };
const verbose: OptionSpec = { name: 'verbose', short: 'v', summary: 'With an error, print its causes and where it arose' };

const imageArgument: ArgumentSpec = { name: 'FILE', summary: 'The image; - for standard input', completion: 'file' };

const okField: JsonField = { path: 'ok', type: 'true', meaning: 'It worked. For a failure see "Errors"' };
const statsFields: readonly JsonField[] = [
  { path: 'stats', type: 'object', meaning: 'Phases in milliseconds (names end in Ms) and counts; more may be added' },
];

export const commands: readonly CommandSpec[] = [
  {
    name: 'checkpoint',
    alias: 'ckpt',
    summary: 'write the state of a running process into an image',
    description: [
      'Stops the process PID for as long as it takes to copy its state, writes that state as one image, and lets the process run on. Whatever goes wrong, the process runs on as if nothing had happened.',
      'The image goes to standard output unless that is a terminal; it is written in one pass without seeking, so a pipe or a socket will do. A file given with -o appears under its name only when it is whole. Images hold everything the process had in memory, secrets too, so the file is readable by its owner only.',
      'What cannot be carried is refused before anything is written, everything in one list.',
    ],
    arguments: [{ name: 'PID', summary: 'The process to checkpoint', completion: 'pid' }],
    options: [
      {
        name: 'output',
        short: 'o',
        value: 'FILE',
        completion: 'file',
        summary: 'Write the image to FILE; - for standard output',
      },
      {
        name: 'base',
        value: 'IMAGE',
        completion: 'file',
        summary: 'Write only what has changed since IMAGE, a regular file, which a restart then needs too',
      },
      {
        name: 'freeze',
        value: 'MODE',
        summary:
          'How memory is saved: auto, stop (while the process stands still), fork (from a copy) or precopy (before it stands still)',
      },
      {
        name: 'kill',
        summary: 'Kill the process once the image is safely written',
        excludes: ['leave-stopped', 'leave-running'],
      },
      { name: 'leave-stopped', summary: 'Leave the process stopped, as by SIGSTOP', excludes: ['leave-running'] },
      { name: 'leave-running', summary: 'Let the process run on (the default)' },
      {
        name: 'carry',
        value: 'PATTERN',
        repeats: true,
        completion: 'file',
        summary:
          'Bring the content of these files (of a directory, all that is in it) into the image; a restart rolls them back. *, ?, [...] and ** match as in a shell. May be given more than once',
      },
      {
        name: 'skip-fd',
        value: 'N[,N...]',
        summary: 'Leave these descriptors out, in every process: the restarted program does not have them',
      },
      {
        name: 'compress',
        value: 'HOW',
        summary: 'Compress the memory in the image: none (the default), lz4, zstd or zstd:LEVEL with a level of 1 to 19',
      },
      {
        name: 'tcp-established',
        summary: 'Carry TCP connections to other processes; with --kill the other end waits for the restart on this host',
        excludes: ['tcp-close'],
      },
      { name: 'tcp-close', summary: 'TCP connections to other processes come back as if the other end had reset them' },
      {
        name: 'dry-run',
        summary: 'Only find out whether a checkpoint would succeed; write nothing',
        excludes: ['output', 'kill', 'leave-stopped'],
      },
      json,
      stats,
      quiet,
      verbose,
    ],
    examples: [
      { line: 'stasis checkpoint 4242 -o counter.image', meaning: 'Checkpoint process 4242; it runs on.' },
      { line: 'stasis checkpoint 4242 --kill | ssh other stasis restart', meaning: 'Move process 4242 to another machine.' },
      { line: 'ckpt 4242 > out.1', meaning: "The same verb under the RFC's name." },
    ],
    json: [
      okField,
      { path: 'id', type: 'integer', meaning: 'Number of this checkpoint, rising on each host' },
      { path: 'pid', type: 'integer', meaning: 'The process that was checkpointed' },
      { path: 'path', type: 'string, absent without -o', meaning: 'The file that holds the image' },
      { path: 'dryRun', type: 'boolean', meaning: 'Nothing was written, because of --dry-run' },
      { path: 'digest', type: 'string', meaning: 'SHA-256 over all structure of the image, in hex' },
      { path: 'bytes', type: 'integer', meaning: 'Size of the image' },
      { path: 'carried', type: 'array of strings', meaning: 'Kinds of objects in the image' },
      ...statsFields,
    ],
    errors: ['FAILED', 'USAGE', 'CANNOT_CARRY', 'PRIVILEGE', 'VANISHED'],
  },
  {
    name: 'restart',
    alias: 'rstr',
    summary: 'continue a process from an image',
    description: [
      'Reads an image and continues the process in it exactly where it was. In the foreground, which is the default, this very command becomes the process: it keeps its process id, its terminal and its place in the shell, ^C and ^Z work, and the exit status is that of the process. So a successful restart never returns.',
      'With -d the process continues in the background, and its process id is printed.',
      'If the restart fails, everything that it had made is removed again. Nothing runs before everything is in place.',
    ],
    arguments: [{ ...imageArgument, summary: 'The image; standard input without FILE, or for -', optional: true }],
    options: [
      { name: 'detach', short: 'd', summary: 'Continue in the background and print the new process id', excludes: ['dry-run'] },
      {
        name: 'lazy',
        summary: 'Run the program before all of its memory has been read; the rest follows, first what it touches. Needs root',
        excludes: ['dry-run'],
      },
      {
        name: 'pids',
        value: 'keep|same|new',
        summary:
          'With -d: the process and thread ids of the checkpoint where they are free (keep, the default), those or an error (same), or a new process id (new)',
      },
      {
        name: 'copies',
        short: 'n',
        value: 'N',
        summary: 'With -d: continue N copies side by side and print the process id of each. Needs a FILE',
      },
      {
        name: 'signal',
        value: 'SIGNAL',
        summary:
          'With -d: send this signal to the program when it has been continued; its value (si_int) is the number of the copy, from 0',
      },
      {
        name: 'inherit',
        value: 'fd:N=M[,...]',
        summary: "In place of the program's descriptor N, and of all that shared its open file, put descriptor M of this command",
      },
      { name: 'dry-run', summary: 'Only read the whole image and find out whether it could be restarted here' },
      {
        name: 'base-dir',
        value: 'DIRECTORY',
        completion: 'file',
        summary: 'Where to look for the images on which this one is based, if they are not where they were nor beside it',
      },
      { name: 'accept-changed-files', summary: 'Restart although files that the process had mapped or open have changed since' },
      json,
      { ...stats, summary: 'With -d or --dry-run: print how long it took, on standard error' },
      quiet,
      verbose,
    ],
    examples: [
      { line: 'stasis restart counter.image', meaning: 'Continue in the foreground of this terminal.' },
      { line: 'stasis restart -d counter.image', meaning: 'Continue in the background; prints the process id.' },
      {
        line: 'stasis restart -d -n 20 --signal SIGUSR1 warm.image',
        meaning: 'Twenty copies, each told by a signal which one it is.',
      },
      { line: 'rstr < out.1', meaning: "The same verb under the RFC's name." },
    ],
    json: [
      okField,
      { path: 'pid', type: 'integer, absent with --dry-run', meaning: 'The process id under which the program continues' },
      {
        path: 'copies',
        type: 'array',
        meaning: 'With --copies instead of pid, notes and stats: an object with these for each copy',
      },
      { path: 'dryRun', type: 'boolean', meaning: 'Nothing was restarted, because of --dry-run' },
      { path: 'notes', type: 'array of strings', meaning: 'What the program could not be given back, such as a limit' },
      ...statsFields,
    ],
    errors: ['FAILED', 'USAGE', 'PRIVILEGE', 'IMAGE', 'RESTART_FAILED'],
  },
  {
    name: 'branch',
    summary: 'copy a running process in place',
    description: [
      'Makes copies of the process PID and of all processes below it. They run beside the original from the very same moment, under new process ids, which are printed, and share its memory until somebody writes (copy-on-write). Nothing is written to a disk. The standard streams are those of the original.',
      "The copies are nobody's children. If one cannot be made, none is left. The original is stopped for a moment and runs on as before.",
    ],
    arguments: [{ name: 'PID', summary: 'The process to copy', completion: 'pid' }],
    options: [
      { name: 'copies', short: 'n', value: 'N', summary: 'How many; default 1' },
      {
        name: 'signal',
        value: 'SIGNAL',
        summary: 'Send this signal to each copy when it runs; its value (si_int) is the number of the copy, from 0',
      },
      json,
      { ...stats, summary: 'Print how long it took, on standard error' },
      verbose,
    ],
    examples: [{ line: 'stasis branch -n 5 4242', meaning: 'Five copies of a running interpreter, to go five ways from here.' }],
    json: [
      okField,
      { path: 'branches[].pid', type: 'integer', meaning: 'Process id of a copy' },
      { path: 'branches[].notes', type: 'array of strings', meaning: 'What it could not be given' },
      { path: 'freezeMs', type: 'number', meaning: 'Milliseconds for which the original was stopped' },
      { path: 'totalMs', type: 'number', meaning: 'Milliseconds from the begin to the last copy running' },
    ],
    errors: ['FAILED', 'USAGE', 'PRIVILEGE', 'CANNOT_CARRY', 'VANISHED', 'RESTART_FAILED'],
  },
  {
    name: 'run',
    summary: 'start a program that can use the two system calls',
    description: [
      'Starts COMMAND with the system calls checkpoint and restart available to it and to all that it starts, by the numbers in stasis.h. They cost nothing until they are called. Terminal, signals and exit status pass through as if this command were not there.',
      'With --to a series of images is made while it runs: 000001.image and so on, with the link latest. Each holds what has changed since the one before, and every so often one is whole; of the old ones those are removed that none of the newest needs. `stasis restart DIRECTORY/latest` continues the program. A checkpoint that fails is reported and the program runs on.',
    ],
    arguments: [{ name: 'COMMAND', summary: 'The program and its arguments', completion: 'command', rest: true }],
    options: [
      { name: 'to', value: 'DIRECTORY', completion: 'file', summary: 'Make a series of images in DIRECTORY' },
      { name: 'every', value: 'TIME', summary: 'Make one every 30s, 5m, 1h …' },
      { name: 'keep', value: 'NUMBER', summary: 'So many of the newest can be restarted; the default is 10' },
      {
        name: 'on',
        value: 'SIGNAL',
        summary: 'Make one when the supervisor, whose pid is in DIRECTORY/supervisor.pid, gets SIGNAL; several with commas',
      },
      verbose,
    ],
    examples: [
      { line: 'stasis run -- ./ckpt > out.1', meaning: 'A program that checkpoints itself to its standard output.' },
      { line: 'stasis run --every 30s --keep 10 --to images -- ./simulation', meaning: 'An image every half minute.' },
    ],
    errors: ['FAILED', 'USAGE', 'PRIVILEGE'],
  },
  {
    name: 'inspect',
    summary: 'show what an image holds',
    description: [
      'Prints the nested content of an image: the head, each task, its memory with what was saved of it, its registers, its descriptors. Needs no privileges and reads images of every architecture. It checks the structure, but not the page data; see stasis-verify(1).',
    ],
    arguments: [imageArgument],
    options: [json, verbose],
    examples: [{ line: 'stasis inspect counter.image', meaning: 'Read it like a table of contents.' }],
    json: [
      okField,
      { path: 'image.records[]', type: 'array of objects', meaning: 'The records at the top level: head, task, …, tail' },
      { path: '….kind', type: 'string', meaning: 'Name of the kind of record; docs/format.md describes each' },
      { path: '….objref', type: 'integer, absent for most', meaning: 'Number by which other records refer to it' },
      { path: '….title', type: 'string, absent for some', meaning: 'What it is, in a few words' },
      { path: '….offset', type: 'integer', meaning: 'Where the record begins in the image' },
      { path: '….value', type: 'object', meaning: 'Its fields; numbers of 64 bits are strings, decimal or 0x…' },
      { path: '….data', type: '{offset, bytes}, absent without data', meaning: 'Where its data stands' },
      { path: '….records[]', type: 'array of objects, absent for a leaf', meaning: 'The records nested in it' },
    ],
    errors: ['FAILED', 'USAGE', 'IMAGE'],
  },
  {
    name: 'verify',
    summary: 'check that an image is whole and undamaged',
    description: [
      'Reads an image from its first to its last byte and checks every checksum, every rule of the format and every reference. Silent except for one line when all is well; the first thing that is wrong is named with its place. Needs no privileges.',
    ],
    arguments: [imageArgument],
    options: [json, quiet, verbose],
    examples: [{ line: 'stasis verify counter.image && echo good', meaning: 'Before the original is thrown away.' }],
    json: [
      okField,
      { path: 'records', type: 'integer', meaning: 'Number of records' },
      { path: 'bytes', type: 'integer', meaning: 'Size of the image' },
      { path: 'digest', type: 'string', meaning: 'SHA-256 over all structure of the image, in hex' },
      { path: 'dataBytes', type: 'integer', meaning: 'Bytes of memory in it' },
      { path: 'pages', type: 'integer', meaning: 'The same in pages' },
      { path: 'kinds', type: 'object', meaning: 'Number of records of each kind' },
    ],
    errors: ['FAILED', 'USAGE', 'IMAGE'],
  },
  {
    name: 'merge',
    summary: 'make one whole image of an image and those that it is based on',
    description: [
      'An image that was made with --base holds what had changed since another one, and a restart needs both. This command writes an image of the same moment that needs no other. The images that it reads stay as they are.',
    ],
    arguments: [imageArgument],
    options: [
      {
        name: 'output',
        short: 'o',
        value: 'FILE',
        completion: 'file',
        summary: 'Write the image to FILE; - for standard output',
      },
      {
        name: 'base-dir',
        value: 'DIRECTORY',
        completion: 'file',
        summary: 'Where to look for the other images, if they are not where they were nor beside this one',
      },
      json,
      quiet,
      verbose,
    ],
    examples: [{ line: 'stasis merge counter.3 -o counter.whole', meaning: 'Then counter.1 to counter.3 can be removed.' }],
    json: [
      okField,
      { path: 'path', type: 'string', meaning: 'The file that holds the image' },
      { path: 'records', type: 'integer', meaning: 'Number of records' },
      { path: 'bytes', type: 'integer', meaning: 'Size of the image' },
      { path: 'digest', type: 'string', meaning: 'SHA-256 over all structure of the image, in hex' },
    ],
    errors: ['FAILED', 'USAGE', 'IMAGE'],
  },
  {
    name: 'doctor',
    summary: 'tell what this kernel and these privileges allow',
    description: [
      'Tries each thing that Stasis needs from the kernel, and says for each that is missing what would remedy it. Changes nothing. Ends with 11 when something is missing without which no checkpoint or no restart can work.',
    ],
    arguments: [],
    options: [json, verbose],
    examples: [{ line: 'stasis doctor', meaning: 'The first thing to run on a new machine.' }],
    json: [
      { path: 'ok', type: 'boolean', meaning: 'Everything that is required is there' },
      { path: 'checks[].name', type: 'string', meaning: 'Stable name of the check' },
      { path: 'checks[].title', type: 'string', meaning: 'What is checked, for people' },
      { path: 'checks[].ok', type: 'boolean', meaning: 'It is there' },
      {
        path: 'checks[].required',
        type: 'boolean',
        meaning: 'Without it nothing works; else something is slower, or needs root',
      },
      { path: 'checks[].detail', type: 'string', meaning: 'What was found' },
      { path: 'checks[].remedy', type: 'string', meaning: 'What to do about it; empty when it is there' },
    ],
    errors: ['USAGE', 'PRIVILEGE'],
  },
];

/** Options that stand beside every command, and work before any command is named. */
export const commonOptions: readonly OptionSpec[] = [
  { name: 'help', short: 'h', summary: 'Explain the command, then end' },
  { name: 'version', short: 'V', summary: 'Print the version, then end' },
];

export interface EnvironmentSpec {
  readonly name: string;
  readonly meaning: string;
}

export const environment: readonly EnvironmentSpec[] = [
  { name: 'NO_COLOR', meaning: 'When set and not empty, nothing is coloured (no-color.org)' },
  { name: 'TERM', meaning: 'When "dumb", there are no colours and no progress' },
];

/** Exit codes that are not in the catalogue of errors. */
export const otherExits: readonly { readonly exit: string; readonly meaning: string }[] = [
  { exit: '128+n', meaning: 'Signal n ended the command, or the program that it had become.' },
];

export function commandNamed(name: string): CommandSpec | undefined {
  return commands.find((command) => command.name === name);
}
