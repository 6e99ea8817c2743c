-- question: does a model hold at a place it was not trained at
-- one row: one patient's latest frontal image, with the side of the place that made it
-- parameter: $test_archives texts = none  given names of archives to test on, with commas
-- parameter: $test_institutions texts = none  keys of institutions to test on, with commas
-- target: age_years number years
-- made of: age_years
-- target: patient_sex binary positive='M'
-- made of: patient_sex
-- example: xray-mining cohort external_site --param test_archives=hospital_b
with
-- step: files that are there, one of each exposure
present as (
    select
        image_key, patient_key, patient_source, archive, institution_key, view_position,
        age_years, patient_sex, patient_sequence
    from eligible
),

-- step: with a patient id
identified as (
    select
        image_key, patient_key, archive, institution_key, view_position, age_years,
        patient_sex, patient_sequence
    from present
    where patient_source != 'none'
),

-- step: frontal view, with age, and sex female or male
described as (
    with
    -- a misspelt place would leave its images among those that are trained on
    unknown as (
        select place
        from (select unnest($test_archives::varchar[]) as place) as archives
        where place not in (select images.archive from images)
        union all
        select place
        from (select lower(unnest($test_institutions::varchar[])) as place) as institutions
        where
            place not in (
                select images.institution_key::varchar
                from images
                where images.institution_key is not null
            )
    ),

    nowhere as (
        select string_agg(place, ', ' order by place) as places
        from unknown
    )

    select
        image_key, patient_key, archive, institution_key, age_years, patient_sex, patient_sequence
    from identified
    cross join nowhere
    where
        if(
            places is null,
            true,
            error(
                'no image is of ' || places
                || '; test_archives takes names of archives, test_institutions keys of institutions'
            )
        )
        and view_position in ('PA', 'AP')
        and age_years is not null
        and patient_sex in ('F', 'M')
),

-- step: patients seen on one side only
one_sided as (
    select
        image_key,
        patient_key,
        age_years,
        patient_sex,
        patient_sequence,
        archive in (select unnest($test_archives::varchar[]))
        or coalesce(institution_key::varchar, '') in (
            select lower(unnest($test_institutions::varchar[]))
        )
            as is_test
    from described
    qualify
        min(is_test) over (partition by patient_key)
        = max(is_test) over (partition by patient_key)
),

-- step: latest image of a patient
latest as (
    select image_key, age_years, patient_sex, is_test
    from one_sided
    qualify row_number() over (partition by patient_key order by patient_sequence desc) = 1
)

select
    image_key,
    age_years,
    patient_sex,
    if(is_test, 'test', 'train') as split
from latest
