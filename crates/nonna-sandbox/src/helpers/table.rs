//! How helpers are written down: a number and a body, which becomes one function that machine code can call.

/// Rows of `number => body`, where a body takes the run and `r1` to `r5` and yields `r0` or the end of the run; they become a table
/// of functions.
macro_rules! helper_table {
    ($(#[$doc:meta])* $name:ident: $($number:expr => $body:expr,)+) => {
        $(#[$doc])*
        pub(super) const $name: &[(u32, $crate::helpers::HelperFn)] = &[
            $((
                $number,
                {
                    extern "C" fn entry(
                        r1: u64,
                        r2: u64,
                        r3: u64,
                        r4: u64,
                        r5: u64,
                        run: &mut $crate::run::Run<'_, '_>,
                    ) -> u64 {
                        const BODY: $crate::helpers::Body = $body;
                        BODY(run, [r1, r2, r3, r4, r5]).unwrap_or_else(|error| run.fail(error))
                    }
                    entry
                },
            ),)+
        ];
    };
}
pub(super) use helper_table;
