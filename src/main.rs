//! The `lockstep` program; called as `spot`, it takes SPOT's spelling.

fn main() -> std::process::ExitCode {
    lockstep::cli::main()
}
