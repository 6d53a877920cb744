//! The types of `weir:plugin`, as plugin-sdk/wit/weir.wit has them, and lists that cross without being copied
//! on this side.
#![allow(unsafe_code)] // Wasmtime's traits for types of the component model are unsafe to implement.

use std::mem::MaybeUninit;

use arrow::buffer::{Buffer, ScalarBuffer};
use arrow::datatypes::ArrowNativeType;
use wasmtime::component::__internal::{CanonicalAbiInfo, InstanceType, InterfaceType, LowerContext};
use wasmtime::component::{ComponentType, Lift, Lower};

/// The package, without its version.
pub(super) const PACKAGE: &str = "weir:plugin";
/// The version that this Weir speaks. Within its track, 0.1, older and newer plugins fit.
pub(super) const VERSION: &str = "0.1.0";
/// What a plugin exports.
pub(super) const ANALYSIS: &str = "weir:plugin/analysis@0.1.0";

/// Why a call was refused.
#[derive(Clone, Debug, PartialEq, ComponentType, Lift, Lower)]
#[component(record)]
pub(super) struct Failure {
    pub(super) reason: String,
    pub(super) message: String,
}

impl Failure {
    pub(super) fn new(reason: &str, message: impl Into<String>) -> Self {
        Self { reason: reason.to_owned(), message: message.into() }
    }
}

#[derive(Clone, Copy, Debug, ComponentType, Lower)]
#[component(record)]
pub(super) struct Instant {
    pub(super) seconds: u64,
    pub(super) nanoseconds: u32,
}

#[derive(Clone, Debug, ComponentType, Lift)]
#[component(record)]
pub(super) struct Label {
    pub(super) name: String,
    pub(super) value: String,
}

#[derive(Clone, Debug, ComponentType, Lower)]
#[component(record)]
pub(super) struct Texts {
    pub(super) codes: List<u32>,
    pub(super) offsets: List<u32>,
    pub(super) bytes: List<u8>,
}

#[derive(Clone, Debug, ComponentType, Lower)]
#[component(record)]
pub(super) struct Buckets {
    pub(super) lower: List<f64>,
    pub(super) offsets: List<u32>,
    pub(super) bucket: List<u32>,
    pub(super) counts: List<u64>,
    pub(super) sums: List<f64>,
    pub(super) totals: List<u64>,
}

#[derive(Clone, Debug, ComponentType, Lower)]
#[component(record)]
pub(super) struct Column {
    pub(super) name: String,
    pub(super) role: String,
    pub(super) kind: String,
    pub(super) unit: String,
}

#[derive(Clone, Copy, Debug, ComponentType, Lower)]
#[component(record)]
pub(super) struct Coverage {
    pub(super) events: u64,
    pub(super) overflow: u64,
    pub(super) missed: Option<u64>,
}

#[derive(Clone, Debug, ComponentType, Lift)]
#[component(variant)]
pub(super) enum Literal {
    #[component(name = "unsigned")]
    Unsigned(u64),
    #[component(name = "signed")]
    Signed(i64),
    #[component(name = "float")]
    Float(f64),
    #[component(name = "text")]
    Text(Vec<u8>),
}

#[derive(Clone, Debug, ComponentType, Lift)]
#[component(record)]
pub(super) struct Condition {
    pub(super) column: u32,
    pub(super) op: String,
    pub(super) value: Literal,
}

#[derive(Clone, Debug, ComponentType, Lift)]
#[component(record)]
pub(super) struct Aggregate {
    pub(super) column: u32,
    pub(super) op: String,
    pub(super) argument: f64,
}

#[derive(Clone, Copy, Debug, ComponentType, Lift)]
#[component(enum)]
#[repr(u8)]
#[allow(dead_code)] // Made by lifting only.
pub(super) enum Severity {
    #[component(name = "debug")]
    Debug,
    #[component(name = "info")]
    Info,
    #[component(name = "warning")]
    Warning,
    #[component(name = "critical")]
    Critical,
}

/// A `list<T>` that shares a column's memory: lowering copies it once, into the guest.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct List<T: ArrowNativeType>(pub(super) ScalarBuffer<T>);

impl<T: ArrowNativeType> List<T> {
    /// A page of a column, which has to have it.
    pub(super) fn page(values: &ScalarBuffer<T>, first: usize, count: usize) -> Self {
        Self(values.slice(first, count))
    }
}

impl<T: ArrowNativeType> From<Vec<T>> for List<T> {
    fn from(values: Vec<T>) -> Self {
        Self(values.into())
    }
}

impl From<Buffer> for List<u8> {
    fn from(bytes: Buffer) -> Self {
        Self(bytes.into())
    }
}

// SAFETY: every item is that of `[T]`, for which Wasmtime implements the trait.
unsafe impl<T: ArrowNativeType + ComponentType> ComponentType for List<T> {
    type Lower = <[T] as ComponentType>::Lower;
    const ABI: CanonicalAbiInfo = <[T] as ComponentType>::ABI;

    fn typecheck(ty: &InterfaceType, types: &InstanceType<'_>) -> wasmtime::Result<()> {
        <[T] as ComponentType>::typecheck(ty, types)
    }
}

// SAFETY: every method is that of `[T]`, called with the slice that the buffer keeps alive.
unsafe impl<T: ArrowNativeType + Lower> Lower for List<T> {
    fn linear_lower_to_flat<U>(
        &self,
        cx: &mut LowerContext<'_, U>,
        ty: InterfaceType,
        dst: &mut MaybeUninit<Self::Lower>,
    ) -> wasmtime::Result<()> {
        <[T] as Lower>::linear_lower_to_flat(&self.0, cx, ty, dst)
    }

    fn linear_lower_to_memory<U>(
        &self,
        cx: &mut LowerContext<'_, U>,
        ty: InterfaceType,
        offset: usize,
    ) -> wasmtime::Result<()> {
        <[T] as Lower>::linear_lower_to_memory(&self.0, cx, ty, offset)
    }
}
