//! Compiles the protobuf interfaces, without an installed `protoc`.

use std::error::Error;
use std::path::PathBuf;

const INCLUDE: &str = "../../proto";
const FILES: [&str; 4] = [
    "vouch/v1/query.proto",
    "vouch/v1/ingest.proto",
    "vouch/v1/workspace.proto",
    "opentelemetry/logs.proto",
];

fn main() -> Result<(), Box<dyn Error>> {
    let mut compiler = protox::Compiler::new([INCLUDE])?;
    compiler.include_source_info(true).include_imports(true);
    for file in FILES {
        println!("cargo:rerun-if-changed={INCLUDE}/{file}");
        compiler.open_file(file)?;
    }
    let out = PathBuf::from(std::env::var("OUT_DIR")?);
    std::fs::write(
        out.join("descriptors.bin"),
        compiler.encode_file_descriptor_set(),
    )?;
    // Arrow bytes and events are handed over without a copy.
    tonic_prost_build::configure()
        .bytes(".vouch.v1.QueryStreamResponse")
        .bytes(".vouch.v1.WriteRequest")
        .compile_fds(compiler.file_descriptor_set())?;
    Ok(())
}
