"""Operations that several models share."""
