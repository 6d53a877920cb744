//! The functions of WASI that mean something here.

use std::time::Duration;

use wasmtime::component::{
    ComponentNamedList, ComponentType, Lift, LinkerInstance, Lower, Resource, ResourceType,
};

use super::random::Random;
use crate::sandbox::call::Call;
use crate::sandbox::guest::function;
use crate::sandbox::limits::{RANDOM_BYTES, STREAM_BYTES};
use crate::sandbox::wit::Instant;

/// Nothing is behind a handle. A standard stream's number says which of them it is; all others' are 0.
#[derive(Debug)]
enum Input {}
#[derive(Debug)]
enum Output {}
#[derive(Debug)]
enum Pollable {}
#[derive(Debug)]
enum Network {}
#[derive(Debug)]
enum Failed {}
/// What there is none of: files, sockets, terminals.
#[derive(Debug)]
enum Nothing {}

const OUT: u32 = 1;
const ERR: u32 = 2;

/// How a stream fails. Those that can be written to never do.
#[derive(Debug, ComponentType, Lower)]
#[component(variant)]
#[expect(dead_code, reason = "a result's type has it")]
enum StreamError {
    #[component(name = "last-operation-failed")]
    LastOperationFailed(Resource<Failed>),
    #[component(name = "closed")]
    Closed,
}

/// Interfaces import each other's resources under the same names, and have to find the same there.
pub(super) fn resource(name: &str) -> ResourceType {
    match name {
        "input-stream" => ResourceType::host::<Input>(),
        "output-stream" => ResourceType::host::<Output>(),
        "pollable" => ResourceType::host::<Pollable>(),
        "network" => ResourceType::host::<Network>(),
        "error" => ResourceType::host::<Failed>(),
        _ => ResourceType::host::<Nothing>(),
    }
}

/// Offers a function, if it is one of these.
pub(super) fn define(
    instance: &mut LinkerInstance<'_, Call>,
    interface: &str,
    name: &str,
) -> wasmtime::Result<bool> {
    match (interface, name) {
        ("cli/stdin", "get-stdin") => function(instance, name, |_, ()| (Resource::<Input>::new_own(0),))?,
        ("cli/stdout", "get-stdout") => {
            function(instance, name, |_, ()| (Resource::<Output>::new_own(OUT),))?
        }
        ("cli/stderr", "get-stderr") => {
            function(instance, name, |_, ()| (Resource::<Output>::new_own(ERR),))?
        }
        // Also if all went well: a plugin returns, so that what it put out can be committed.
        ("cli/exit", "exit") => {
            ending_function(instance, name, |_, (_,): (Result<(), ()>,)| -> wasmtime::Result<()> {
                wasmtime::bail!("the plugin called exit")
            })?;
        }
        ("cli/exit", "exit-with-code") => {
            ending_function(instance, name, |_, (_,): (u8,)| -> wasmtime::Result<()> {
                wasmtime::bail!("the plugin called exit")
            })?;
        }
        ("io/streams", "[method]output-stream.check-write") => {
            function(instance, name, |_, (_,): (Resource<Output>,)| (went_well(STREAM_BYTES),))?;
        }
        ("io/streams", "[method]output-stream.write" | "[method]output-stream.blocking-write-and-flush") => {
            function(instance, name, |call, (stream, bytes): (Resource<Output>, Vec<u8>)| {
                let wasi = &mut call.wasi;
                let lines = if stream.rep() == ERR { &mut wasi.err } else { &mut wasi.out };
                lines.write(&bytes, &mut call.outputs);
                (went_well(()),)
            })?;
        }
        // A line is whole when it has its end, and not before.
        ("io/streams", "[method]output-stream.flush" | "[method]output-stream.blocking-flush") => {
            function(instance, name, |_, (_,): (Resource<Output>,)| (went_well(()),))?;
        }
        ("io/streams", "[method]output-stream.subscribe") => {
            function(instance, name, |_, (_,): (Resource<Output>,)| (pollable(),))?;
        }
        ("io/streams", "[method]input-stream.subscribe") => {
            function(instance, name, |_, (_,): (Resource<Input>,)| (pollable(),))?;
        }
        // Time does not pass within a call, so there is nothing to wait for: all is ready, and no call sleeps, which a
        // deadline of processor time would not end.
        ("io/poll", "[method]pollable.ready") => {
            function(instance, name, |_, (_,): (Resource<Pollable>,)| (true,))?;
        }
        ("io/poll", "[method]pollable.block") => {
            function(instance, name, |_, (_,): (Resource<Pollable>,)| ())?
        }
        ("io/poll", "poll") => {
            function(instance, name, |_, (all,): (Vec<Resource<Pollable>>,)| {
                ((0..).zip(&all).map(|(place, _)| place).collect::<Vec<u32>>(),)
            })?;
        }
        ("clocks/monotonic-clock", "subscribe-instant" | "subscribe-duration") => {
            function(instance, name, |_, (_,): (u64,)| (pollable(),))?;
        }
        ("clocks/monotonic-clock", "now") => {
            function(instance, name, |call, ()| (u64::try_from(now(call).as_nanos()).unwrap_or(u64::MAX),))?;
        }
        ("clocks/monotonic-clock", "resolution") => function(instance, name, |_, ()| (1_u64,))?,
        ("clocks/wall-clock", "now") => function(instance, name, |call, ()| (instant(now(call)),))?,
        ("clocks/wall-clock", "resolution") => {
            function(instance, name, |_, ()| (instant(Duration::from_nanos(1)),))?;
        }
        ("random/random", "get-random-bytes") | ("random/insecure", "get-insecure-random-bytes") => {
            ending_function(instance, name, |call, (length,): (u64,)| match usize::try_from(length) {
                Ok(length) if length <= RANDOM_BYTES => Ok((random(call).bytes(length),)),
                _ => wasmtime::bail!("the plugin asked for more than {RANDOM_BYTES} random bytes at once"),
            })?;
        }
        ("random/random", "get-random-u64") | ("random/insecure", "get-insecure-random-u64") => {
            function(instance, name, |call, ()| (random(call).number(),))?;
        }
        ("random/insecure-seed", "insecure-seed") => {
            function(instance, name, |call, ()| ((random(call).number(), random(call).number()),))?;
        }
        // Guests hold it before they ask anything of it, which is refused.
        ("sockets/instance-network", "instance-network") => {
            function(instance, name, |_, ()| (Resource::<Network>::new_own(0),))?;
        }
        _ => return Ok(false),
    }
    Ok(true)
}

/// Offers a function that can end the call.
fn ending_function<P, R>(
    instance: &mut LinkerInstance<'_, Call>,
    name: &str,
    body: fn(&mut Call, P) -> wasmtime::Result<R>,
) -> wasmtime::Result<()>
where
    P: ComponentNamedList + Lift + 'static,
    R: ComponentNamedList + Lower + 'static,
{
    instance.func_wrap(name, move |mut store, arguments: P| {
        let call: &mut Call = store.data_mut();
        call.enter()?;
        body(call, arguments)
    })
}

fn went_well<T>(value: T) -> Result<T, StreamError> {
    Ok(value)
}

fn pollable() -> Resource<Pollable> {
    Resource::new_own(0)
}

/// The moment at which the snapshot was taken, for both clocks. An instance lives for one call, so neither ever goes
/// back in it; from call to call they go as far as the interval was long.
fn now(call: &Call) -> Duration {
    let interval = &call.interval;
    [interval.began_nanoseconds.into(), interval.length_ns]
        .map(Duration::from_nanos)
        .into_iter()
        .fold(Duration::from_secs(interval.began_seconds), Duration::saturating_add)
}

fn instant(time: Duration) -> Instant {
    Instant { seconds: time.as_secs(), nanoseconds: time.subsec_nanos() }
}

fn random(call: &mut Call) -> &mut Random {
    let (interval, tables) = (&call.interval, &call.given.table_names);
    call.wasi.random.get_or_insert_with(|| Random::seeded(interval, tables))
}
