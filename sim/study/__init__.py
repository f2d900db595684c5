"""Many runs: what is planned, run together, stored, and told apart from other studies."""
