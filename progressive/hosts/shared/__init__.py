"""What the hosts with a loader of the user's own have in common."""
