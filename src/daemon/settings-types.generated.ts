// Made by `npm run generate` from schema/settings.v1alpha1.json. Do not edit.

/**
 * An absolute path.
 */
export type AbsolutePath = string

/**
 * Settings of the daemon: what it follows, where it answers, how fast it acts. An option of `watch` and an environment variable beat what stands here; what does not stand here has the default of the option.
 */
export interface SettingsDocument {
/**
 * Version of this schema: autodomain.dev/v1alpha1.
 */
apiVersion: "autodomain.dev/v1alpha1"
/**
 * Kind of the document: Settings.
 */
kind: "Settings"
/**
 * Files and directories of the config, as absolute paths. PATH arguments of `watch` stand in place of all of them.
 * 
 * @minItems 1
 * @maxItems 64
 */
paths?: [AbsolutePath, ...(AbsolutePath)[]]
/**
 * The name that `hosts` in a config is matched against, in place of the kernel's. Option --host-name.
 */
hostName?: string
/**
 * The control socket.
 */
socket?: {
/**
 * An absolute path.
 */
path?: string
/**
 * A group of /etc/group whose members may look, beside root. Option --socket-group.
 */
group?: string
}
/**
 * How fast the daemon acts, in milliseconds.
 */
timing?: {
/**
 * Files must stay the same this long before they are acted on, in milliseconds. Option --settle.
 */
settleMs?: number
/**
 * What is gone from the files is removed after this long, in milliseconds. Option --removal-grace.
 */
removalGraceMs?: number
/**
 * The files and the host are looked at this often, whatever the events say, in milliseconds. Option --resync.
 */
resyncMs?: number
}
/**
 * What is done about a host that leaves what was applied. Option --drift.
 */
drift?: ("correct" | "report")
/**
 * How changes of the files are heard: by events, by polling, or auto: by polling where not every change is heard. Option --watch.
 */
watch?: ("auto" | "events" | "poll")
/**
 * Files count only while their directory has a file of this name. Option --ready-file.
 */
readyFile?: string
/**
 * Steps in the kernel at once. Option --parallel.
 */
parallel?: number
/**
 * The log.
 */
log?: {
/**
 * What is said: this and worse. Option --log-level.
 */
level?: ("trace" | "debug" | "info" | "warn" | "error" | "silent")
/**
 * auto: as the journal wants it where stderr is one, else text. Option --log-format.
 */
format?: ("auto" | "text" | "json")
}
}
