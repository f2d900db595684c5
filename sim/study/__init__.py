"""Many runs: what is planned, run together, stored, and distinguished from other studies."""
