-- question: how many strata (sex, ten-year age band) have frontal pictures, and how many are hidden
-- one row: everything
-- example: xray-mining sql sql/reports/archive_strata.sql
with
pictured as (
    select
        patient_sex,
        floor(age_years / 10) as band,
        burned_in_text,
        list_has_all([
            'low_resolution', 'overruled_bits', 'overruled_sign', 'overruled_samples',
            'overruled_colour', 'overruled_encoding', 'overruled_frames', 'overruled_rescale',
            'overruled_lut', 'overruled_window', 'overruled_padding', 'bytes_after_end'
        ], quality_flags)
        and coalesce(burned_in_text, 'no') = 'no' as fit
    from images
    where
        view_position in ('PA', 'AP')
        and patient_sex in ('F', 'M')
        and age_years is not null
        and image_key in (select pixels.image_key from pixels)
)

select
    count(distinct patient_sex || band) as strata,
    count(*) filter (where not fit) as left_out,
    count(*) filter (where fit and burned_in_text is null) as not_looked_at
from pictured
