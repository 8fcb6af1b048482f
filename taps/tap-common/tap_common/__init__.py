"""What every tap here shares: how it speaks Singer, how it asks an API, how it fails."""
