"""Single sign-on: the clinic's own OpenID provider says who somebody is; what they may do is said here."""
