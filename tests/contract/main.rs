//! What every store promises (the doc of `ota_store::Kv`), and what the rest makes of it.
//!
//! One list of promises, held against each engine: memory, with and without the quirk of one engine, the embedded store in
//! both its modes, a Redis server, and what stands in for wasmCloud's store. All but memory are asked through the adapter
//! that ships, in a component in the host's own process, over as many connections as there are rivals.

mod durable;
mod engine;
mod histories;
mod promises;

use engine::Engine;

macro_rules! hold {
    ($($promise:ident)*) => {
        hold! { memory [] = Engine::memory(), $($promise)* }
        hold! { memory_with_the_quirk [] = Engine::memory_with_the_quirk(), $($promise)* }
        hold! { embedded [] = Engine::embedded(), $($promise)* }
        hold! { embedded_with_the_quirk [] = Engine::embedded_with_the_quirk(), $($promise)* }
        hold! { on_redis [] = Engine::redis(), $($promise)* }
        hold! { wasmcloud [] = Engine::wasmcloud(), $($promise)* }
        hold! { on_spin [ignore = "cargo xtask test --engine spin"] = Engine::spin(), $($promise)* }
        hold! { on_spin_with_redis [ignore = "cargo xtask test --engine spin"] = Engine::spin_with_redis(), $($promise)* }
    };
    ($engine:ident $attributes:tt = $start:expr, $($promise:ident)*) => {
        mod $engine {
            use super::*;

            $(hold! { @test $attributes $start, $promise })*
        }
    };
    (@test [$($attribute:meta)?] $start:expr, $promise:ident) => {
        #[tokio::test]
        $(#[$attribute])?
        async fn $promise() {
            promises::$promise(&$start).await;
        }
    };
}

hold! {
    the_start_up_check_finds_nothing_broken
    what_is_written_is_read_byte_for_byte
    a_write_is_seen_by_every_later_read
    keys_are_told_apart_by_every_character
    a_value_of_256_kib_fits
    of_swaps_from_one_state_exactly_one_is_made
    rivals_never_swap_the_same_state_twice
    rivals_for_one_record_lose_nothing
    rivals_in_creating_a_record_lose_nothing
    a_claim_is_won_once
    a_claim_whose_winner_died_is_given_out_once_more
    a_value_that_comes_back_is_not_taken_for_the_old_one
    counters_add_up_and_no_sum_is_told_twice
    reads_that_are_under_way_together_each_find_their_own
}

macro_rules! linearize {
    ($($(#[$attribute:meta])? $engine:ident = $start:expr;)*) => {
        mod linearizable {
            use super::*;

            $(
                #[tokio::test]
                $(#[$attribute])?
                async fn $engine() {
                    histories::is_linearizable(&$start).await;
                }
            )*
        }
    };
}

linearize! {
    memory = Engine::memory();
    embedded = Engine::embedded();
    embedded_with_the_quirk = Engine::embedded_with_the_quirk();
    on_redis = Engine::redis();
    wasmcloud = Engine::wasmcloud();
    #[ignore = "cargo xtask test --engine spin"]
    on_spin = Engine::spin();
    #[ignore = "cargo xtask test --engine spin"]
    on_spin_with_redis = Engine::spin_with_redis();
}

mod quirk {
    use super::*;

    #[tokio::test]
    async fn on_redis_one_of_two_swaps_from_absent_is_made() {
        assert_eq!(promises::two_swaps_from_absent(&Engine::redis()).await, 1);
    }

    #[tokio::test]
    async fn where_a_swap_from_absent_is_sound_one_of_two_is_made() {
        for engine in [Engine::memory(), Engine::embedded(), Engine::wasmcloud()] {
            assert_eq!(promises::two_swaps_from_absent(&engine).await, 1);
        }
    }

    /// The other engines are of no use to the suite if they do not have it.
    #[tokio::test]
    async fn where_it_is_not_both_are_told_that_they_won() {
        for engine in [Engine::memory_with_the_quirk(), Engine::embedded_with_the_quirk()] {
            assert_eq!(promises::two_swaps_from_absent(&engine).await, 2);
        }
    }
}
